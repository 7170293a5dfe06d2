"""Draw attribution maps of the most active sequences as logos, with motifs marked."""

from degu.attribution.motifs import marks
from degu.dataset import read_info
from degu.ingest.simulate import MOTIFS
from degu.ops.runtime import job_log
from degu.plots.attribution import method_name
from degu.plots.logos import plot_logos, read_logos
from degu.plots.style import save_figure
from degu.plots.tables import describe

with job_log(snakemake.log[0]):
    arm, target = snakemake.params.arm, snakemake.wildcards.target
    method = snakemake.wildcards.method
    logos = read_logos(snakemake.input.maps, target, method, snakemake.params.sequences)
    # Where motifs were planted and the config names none, they are the simulation's.
    planted = {} if logos.mask is None else {m.name: m.consensus for m in MOTIFS}
    motifs = snakemake.params.motifs or planted
    of_arm = describe(arm["augmentation"], proportion=arm["proportion"], size=arm["size"])
    figure = plot_logos(
        logos.x,
        logos.maps,
        names=logos.names,
        measured=logos.measured,
        predictions=logos.predictions,
        marks=marks(logos.x, motifs, logos.mask),
        windows_by="ensemble",
        units=read_info(snakemake.input.dataset).units,
        title=f"{target}, {method_name(method)}: {of_arm}",
    )
    save_figure(figure, snakemake.output.pdf, snakemake.output.png)
