"""A model pair: what it is, read without trust; where its pictures lie; blocks of both networks; those that ship."""
