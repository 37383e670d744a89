"""Mistakes that keep parameters from learning, or teach them the wrong thing."""

from __future__ import annotations

from tests.models.experiments.training import (
    gradients_are_wrong,
    nothing_learns,
    nothing_moves_at_the_start,
    some_gradient_is_nan,
    some_parameter_does_not_learn,
    without_gradient,
)
from tests.models.mistakes.mistake import Mistake, edit

_SQUARED_RELU = """class SquaredReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.relu(x) ** 2

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * torch.relu(x)


class HandmadeGPT(nn.Module):"""

MISTAKES = (
    Mistake(
        name="attention_is_detached",
        base="nano_gpt",
        edits=edit("x = x + self.attn(self.ln_1(x))", "x = x + self.attn(self.ln_1(x)).detach()"),
        check="gradients",
        guilty=("x = x + self.attn(self.ln_1(x)).detach()",),
        belief="detach saves memory and leaves the numbers as they are.",
        shown_by=without_gradient("c_attn", "ln_1"),
    ),
    Mistake(
        name="embeddings_under_no_grad",
        base="llama_like",
        edits=edit(
            "        h = self.embed_tokens(input_ids)\n",
            "        with torch.no_grad():\n            h = self.embed_tokens(input_ids)\n",
        ),
        check="gradients",
        guilty=("with torch.no_grad():", "h = self.embed_tokens(input_ids)"),
        belief="A table look-up has no gradient.",
        shown_by=without_gradient("embed_tokens"),
    ),
    Mistake(
        name="feed_forward_reads_data",
        base="course_gpt",
        edits=edit("        x = self.ff(x)\n", "        x = self.ff(x.data)\n"),
        check="gradients",
        guilty=("x = self.ff(x.data)",),
        belief="x.data is the tensor, without the wrapping.",
        shown_by=without_gradient("norm2"),
    ),
    Mistake(
        name="forward_under_no_grad",
        base="min_gpt",
        edits=edit(
            "    def forward(self, idx, targets=None):\n",
            "    @torch.no_grad()\n    def forward(self, idx, targets=None):\n",
        ),
        check="gradients",
        guilty=("@torch.no_grad()", "def forward(self, idx, targets=None):"),
        belief="The decorator speeds the model up.",
        shown_by=nothing_learns,
    ),
    Mistake(
        name="temperature_becomes_a_list",
        base="qk_norm",
        edits=edit("k) * self.temperature", "k) * torch.tensor(self.temperature.tolist())"),
        check="gradients",
        guilty=('sim = torch.einsum("bhid,bhjd->bhij", q, k) * torch.tensor(',),
        belief="A tensor that is built from a parameter's numbers is that parameter.",
        shown_by=without_gradient("temperature"),
    ),
    Mistake(
        name="mixing_factor_becomes_a_number",
        base="rolled_shift",
        edits=edit("x = x + self.mix * previous", "x = x + self.mix.item() * previous"),
        check="gradients",
        guilty=("x = x + self.mix.item() * previous",),
        belief="item() takes the number out, which is all that is needed.",
        shown_by=without_gradient("mix"),
    ),
    Mistake(
        name="router_only_chooses",
        base="mixture_of_experts",
        edits=edit(
            "expert(flat[token_idx]) * weights[token_idx, slot, None]", "expert(flat[token_idx]) / self.top_k"
        ),
        check="gradients",
        guilty=("out.index_add_(0, token_idx", "weights, chosen = torch.topk("),
        belief="The router learns from which experts it chose; a choice has no gradient.",
        shown_by=without_gradient("router"),
    ),
    Mistake(
        name="weights_are_summed_without_the_keys",
        base="einsum_style",
        edits=edit(
            'z = einsum("b h q k, b h k d -> b h q d", pattern, v)',
            'z = einsum("b h q k, b h q d -> b h q d", pattern, v)',
        ),
        check="gradients",
        guilty=('z = einsum("b h q k, b h q d',),
        belief="The letters only have to fit the shapes; the weights sum "
        "to 1, and each token keeps its own value.",
        shown_by=without_gradient("W_Q", "W_K"),
        also=("attention-sums", "positions-matter", "tokens-stay-apart"),
    ),
    Mistake(
        name="backward_forgets_a_factor",
        base="softmax_by_hand",
        edits=edit(
            "class HandmadeGPT(nn.Module):",
            _SQUARED_RELU,
            "self.down[n](torch.relu(self.up[n](self.norm[2 * n + 1](x))) ** 2)",
            "self.down[n](SquaredReLU.apply(self.up[n](self.norm[2 * n + 1](x))))",
        ),
        check="gradients",
        guilty=("return grad_output * torch.relu(x)", "x = x + self.down[n](SquaredReLU.apply("),
        belief="The derivative of relu(x)² is relu(x); it is twice that.",
        shown_by=gradients_are_wrong,
    ),
    Mistake(
        name="softmax_is_detached",
        base="returns_dataclass",
        edits=edit("p_attn = scores.softmax(dim=-1)", "p_attn = scores.detach().softmax(dim=-1)"),
        check="gradients",
        guilty=("p_attn = scores.detach().softmax(dim=-1)",),
        belief="The attention maps are only looked at.",
        shown_by=without_gradient("linears.0", "linears.1"),
    ),
    Mistake(
        name="logarithm_of_weights_that_are_zero",
        base="one_hot",
        edits=edit("A = S.log_softmax(-1).exp()", "A = S.softmax(-1).log().exp()"),
        check="gradients",
        guilty=("A = S.softmax(-1).log().exp()",),
        belief="log_softmax is softmax and log; of a masked weight the logarithm has no gradient.",
        shown_by=some_gradient_is_nan,
        also=("finite",),
    ),
    Mistake(
        name="activations_are_rounded",
        base="gru_model",
        edits=edit(
            "return self.decoder(self.project(output))",
            "return self.decoder(self.project(output.round(decimals=2)))",
        ),
        check="gradients",
        guilty=("return self.decoder(self.project(output.round(",),
        belief="Rounding to two places hardly changes the numbers; its gradient is 0.",
        shown_by=some_parameter_does_not_learn,
    ),
    Mistake(
        name="both_adapter_matrices_start_at_zero",
        base="low_rank_adapters",
        edits=edit(
            "        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))\n", "        nn.init.zeros_(self.A)\n"
        ),
        check="gradients",
        guilty=(
            "nn.init.zeros_(self.A)",
            "return self.alpha * (x @ self.A @ self.B)",
            "self.B = nn.Parameter(",
        ),
        belief="An adapter that starts as nothing has to be zeros; one of "
        "the two is enough, and both never learn.",
        shown_by=nothing_moves_at_the_start,
    ),
)
