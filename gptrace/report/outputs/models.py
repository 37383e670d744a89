"""`gptrace models`: the presets in one table."""

from __future__ import annotations

from gptrace.record import Presets, PublishedWeights
from gptrace.report.parts import Part, Table
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import words


def parts(presets: Presets, view: View) -> list[Part]:
    """Return one table."""
    return [Table(csv_table(presets, view), name=words("Models"))]


def csv_table(presets: Presets, view: View) -> TableData:
    """Return one row for each preset."""
    columns = [
        Column("name", words("Model"), role="strong"),
        Column("aliases", words("Aliases"), ", ".join, drop_order=2),
        Column("emb_dim", "emb_dim", is_number=True, drop_order=7),
        Column("n_layers", "n_layers", is_number=True, drop_order=6),
        Column("n_heads", "n_heads", is_number=True, drop_order=5),
        Column("context_length", words("context"), is_number=True, drop_order=3),
        Column("parameters", words("Parameters"), "{:,}".format, is_number=True),
        Column("without_out_head", words("without out_head"), "{:,}".format, is_number=True, drop_order=1),
        Column("pretrained", words("Pretrained"), _pretrained, drop_order=8),
        Column("bytes", words("Size (float32)"), _gibibytes, is_number=True, drop_order=4),
    ]
    rows = [
        (
            preset.name, preset.aliases, *(preset.config.get(column.key) for column in columns[2:6]),
            preset.parameters.total, preset.parameters.without_out_head,
            _state(preset.pretrained), preset.bytes,
        )
        for preset in presets.models
    ]  # fmt: skip
    return TableData(columns, rows)


def _state(weights: PublishedWeights | None) -> str | None:
    """Return where the published weights of a preset are, in a word for CSV; None without any."""
    if weights is None:
        return None
    if weights.in_package:
        return "included"
    return "downloaded" if weights.at_hand else "published"


def _pretrained(state: str | None) -> str:
    shown = {"included": words("included"), "downloaded": words("downloaded"), "published": "gptrace pull"}
    return "–" if state is None else shown[state]


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:,.2f} GiB"
