"""Mistakes without a mask: convolutions, scans, shifts and norms that reach later tokens."""

from __future__ import annotations

from tests.models.experiments.dependence import leaks
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="layer_norm_over_the_tokens",
        base="course_gpt",
        edits=edit(
            "        mean = x.mean(dim=-1, keepdim=True)\n"
            "        var = x.var(dim=-1, keepdim=True, unbiased=False)\n",
            "        mean = x.mean(dim=1, keepdim=True)\n"
            "        var = x.var(dim=1, keepdim=True, unbiased=False)\n",
        ),
        check="causal",
        guilty=("mean = x.mean(dim=1", "var = x.var(dim=1", "norm_x = (x - mean)"),
        belief="dim=1 is the features, as in a batch of vectors [batch, features].",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding", "finite", "gradients"),
    ),
    Mistake(
        name="rms_over_the_tokens",
        base="llama_like",
        edits=edit("x.pow(2).mean(-1, keepdim=True)", "x.pow(2).mean(-2, keepdim=True)"),
        check="causal",
        guilty=("variance = x.pow(2).mean(-2", "return self.weight * x * torch.rsqrt("),
        belief="-2 is the axis that a mean is taken over, so that one number for each feature is left.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="group_norm_over_time",
        base="causal_convolution",
        edits=edit(
            "self.norm = nn.LayerNorm(channels)\n        self.conv",
            "self.norm = nn.GroupNorm(1, channels)\n        self.conv",
            "h = self.norm(x).transpose(1, 2)",
            "h = self.norm(x.transpose(1, 2))",
        ),
        check="causal",
        guilty=("h = self.norm(x.transpose(1, 2))", "self.norm = nn.GroupNorm(1, channels)"),
        belief="GroupNorm with one group is LayerNorm for [batch, "
        "channels, time]; it also averages over time.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="keys_are_normalised_over_the_tokens",
        base="qk_norm",
        edits=edit(
            "F.normalize(q, dim=-1), F.normalize(k, dim=-1)", "F.normalize(q, dim=-1), F.normalize(k, dim=-2)"
        ),
        check="causal",
        guilty=("q, k = F.normalize(",),
        belief="Keys are normalised along the axis that softmax runs over.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding", "attention-sums"),
    ),
    Mistake(
        name="convolution_is_padded_on_both_sides",
        base="causal_convolution",
        edits=edit(
            "x = F.pad(x, (self.left, 0))", "x = F.pad(x, (self.left // 2, self.left - self.left // 2))"
        ),
        check="causal",
        guilty=("x = F.pad(x, (", "return self.conv(x)"),
        belief="Padding only has to keep the length.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="convolution_keeps_the_wrong_end",
        base="selective_scan",
        edits=edit("[:, :, :length].transpose(1, 2)", "[:, :, -length:].transpose(1, 2)"),
        check="causal",
        guilty=("x = self.conv1d(x.transpose(1, 2))[:, :, -length:]",),
        belief="The padding stands in front, so the last outputs are the real ones.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="recurrence_in_both_directions",
        base="gru_model",
        edits=edit(
            "nn.GRU(ninp, nhid, nlayers, dropout=dropout, batch_first=True)",
            "nn.GRU(ninp, nhid // 2, nlayers, dropout=dropout, batch_first=True, bidirectional=True)",
        ),
        check="causal",
        guilty=("output, hidden = self.rnn(emb)", "self.rnn = nn.GRU("),
        belief="A bidirectional network understands more, also when it predicts.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="linear_attention_sums_over_all_tokens",
        base="linear_attention",
        edits=edit(
            'torch.einsum("bhtd,bhte->bhtde", k, v).cumsum(dim=2)',
            'torch.einsum("bhtd,bhte->bhtde", k, v).sum(dim=2, '
            "keepdim=True).expand(-1, -1, k.shape[2], -1, -1)",
        ),
        check="causal",
        guilty=('kv = torch.einsum("bhtd,bhte->bhtde"', "out = torch.einsum("),
        belief="Linear attention needs one sum of keys times values, as in the formula without a mask.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding", "attention-sums"),
    ),
    Mistake(
        name="transform_without_padding",
        base="fft_convolution",
        edits=edit(
            "torch.fft.rfft(x, n=2 * length)",
            "torch.fft.rfft(x, n=length)",
            "torch.fft.rfft(self.filter[:, :length], n=2 * length)",
            "torch.fft.rfft(self.filter[:, :length], n=length)",
            "n=2 * length)[..., :length]",
            "n=length)[..., :length]",
        ),
        check="causal",
        guilty=("y = torch.fft.irfft(", "spectrum = torch.fft.rfft(", "response = torch.fft.rfft("),
        belief="A product of transforms is a convolution; it is a circular one, which wraps around.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="roll_wraps_around",
        base="rolled_shift",
        edits=edit("        previous[:, 0] = 0\n", ""),
        check="causal",
        guilty=("previous = torch.roll(", "x = x + self.mix * previous"),
        belief="roll shifts zeros in.",
        shown_by=leaks,
        also=("positions-matter", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="shift_in_the_wrong_direction",
        base="token_shift",
        edits=edit(
            "        self.mix = nn.Parameter(torch.full((1, 1, dim), 0.5))\n"
            "        self.shift = nn.ZeroPad2d((0, 0, 1, -1))\n",
            "        self.mix = nn.Parameter(torch.full((1, 1, dim), 0.5))\n"
            "        self.shift = nn.ZeroPad2d((0, 0, -1, 1))\n",
        ),
        check="causal",
        guilty=("mixed = x * self.mix + self.shift(x)", "self.shift = nn.ZeroPad2d((0, 0, -1, 1))"),
        belief="The first number is what is cut off, and the second what is added.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="time_is_not_turned_back",
        base="flipped_time",
        edits=edit("return summed.flip(1) * torch", "return summed * torch"),
        check="causal",
        guilty=(
            "return summed * torch",
            'summed = torch.einsum("dij,bjd->bid"',
            "backwards = self.value(x).flip(1)",
        ),
        belief="Only the input has to be turned around.",
        shown_by=leaks,
        also=("positions-matter", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="scan_looks_ahead",
        base="parallel_scan",
        edits=edit(
            "earlier_values = F.pad(values, (0, 0, distance, 0))[:, :length]",
            "earlier_values = F.pad(values, (0, 0, 0, distance))[:, distance:]",
        ),
        check="causal",
        guilty=("earlier_values = F.pad(values", "values = values + gates * earlier_values"),
        belief="Padding at the end, and cutting at the start, moves a sequence to the right.",
        shown_by=leaks,
        also=("positions-matter", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="mean_of_the_whole_text_is_added",
        base="sdpa_causal",
        edits=edit("        x = self.drop(x)\n", "        x = self.drop(x + x.mean(dim=1, keepdim=True))\n"),
        check="causal",
        guilty=("x = self.drop(x + x.mean(dim=1",),
        belief="A summary of the text helps each token; it holds the tokens that are to be predicted.",
        shown_by=leaks,
        also=("tokens-stay-apart", "padding"),
    ),
)
