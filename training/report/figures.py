"""Measured points -> figures. Knows nothing about how they were measured."""

from pathlib import Path

from training.report.points import Point


def draw_figure(points: list[Point], path: Path) -> None:
    """Accuracy against SNR, one curve per channel, csi and rate, intervals shaded."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for (channel, csi, symbols, _, told), row in curves(points).items():
        x = [p.snr_db for p in row]
        (line,) = axes.plot(
            x, [100 * p.accuracy for p in row], ".-", label=f"{channel}, {csi} CSI, {symbols:g} symbols, told {told}"
        )
        axes.fill_between(x, *([100 * p.ci95[i] for p in row] for i in (0, 1)), alpha=0.15, color=line.get_color())
    axes.set(xlabel="average SNR, Es/N0 in dB", ylabel="accuracy in %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def curves(points: list[Point]) -> dict[tuple[str, str, float, int, str], list[Point]]:
    found: dict[tuple[str, str, float, int, str], list[Point]] = {}
    for point in points:
        found.setdefault((point.channel, point.csi, point.mean_symbols, point.n, point.told), []).append(point)
    return {key: sorted(row, key=lambda p: p.snr_db) for key, row in found.items()}
