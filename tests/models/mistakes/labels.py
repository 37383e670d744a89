"""Mistakes about what forward returns: a loss of the wrong tokens, or probabilities instead of scores."""

from __future__ import annotations

from tests.models.experiments.numbers import are_log_probabilities, are_probabilities
from tests.models.experiments.training import leaves_out_token_zero, loss_is_not_of_the_next_token
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="targets_are_shifted_twice",
        base="nano_gpt",
        edits=edit(
            "loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)",
            "loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), ignore_index=-1)",
        ),
        check="loss-labels",
        guilty=("loss = F.cross_entropy(",),
        belief="A language model shifts its targets; the data loader did so already.",
        shown_by=loss_is_not_of_the_next_token,
    ),
    Mistake(
        name="labels_are_not_shifted",
        base="hugging_face_style",
        edits=edit(
            "shift_logits = logits[..., :-1, :].contiguous()",
            "shift_logits = logits.contiguous()",
            "shift_labels = labels[..., 1:].contiguous()",
            "shift_labels = labels.contiguous()",
        ),
        check="loss-labels",
        guilty=(
            "shift_labels = labels.contiguous()",
            "shift_logits = logits.contiguous()",
            "loss = F.cross_entropy(",
        ),
        belief="The caller shifts the labels; with labels=input_ids the model then learns to copy.",
        shown_by=loss_is_not_of_the_next_token,
    ),
    Mistake(
        name="labels_are_shifted_the_wrong_way",
        base="hugging_face_style",
        edits=edit(
            "shift_logits = logits[..., :-1, :]",
            "shift_logits = logits[..., 1:, :]",
            "shift_labels = labels[..., 1:]",
            "shift_labels = labels[..., :-1]",
        ),
        check="loss-labels",
        guilty=(
            "shift_labels = labels[..., :-1]",
            "shift_logits = logits[..., 1:, :]",
            "loss = F.cross_entropy(",
        ),
        belief="One of the two loses its first, and the other its last; which one is a matter of taste.",
        shown_by=loss_is_not_of_the_next_token,
    ),
    Mistake(
        name="labels_are_shifted_by_two",
        base="returns_dataclass",
        edits=edit(
            "shift_logits = logits[:, :-1, :].contiguous()",
            "shift_logits = logits[:, :-2, :].contiguous()",
            "shift_labels = labels[:, 1:].contiguous()",
            "shift_labels = labels[:, 2:].contiguous()",
        ),
        check="loss-labels",
        guilty=(
            "shift_labels = labels[:, 2:]",
            "shift_logits = logits[:, :-2, :]",
            "loss = nn.CrossEntropyLoss()(",
        ),
        belief="There is a start token to leave out, too.",
        shown_by=loss_is_not_of_the_next_token,
    ),
    Mistake(
        name="flat_labels_are_shifted_again",
        base="hugging_face_style",
        edits=edit(
            "                shift_logits.view(-1, shift_logits.size(-1)), "
            "shift_labels.view(-1), ignore_index=-100\n",
            "                shift_logits.view(-1, shift_logits.size(-1))[:-1],\n"
            "                shift_labels.view(-1)[1:],\n"
            "                ignore_index=-100,\n",
        ),
        check="loss-labels",
        guilty=(
            "loss = F.cross_entropy(",
            "shift_labels.view(-1)[1:]",
            "shift_logits.view(-1, shift_logits.size(-1))[:-1]",
        ),
        belief="The function that computes the loss shifts; the labels that it gets were shifted already.",
        shown_by=loss_is_not_of_the_next_token,
    ),
    Mistake(
        name="logits_are_viewed_as_classes_first",
        base="min_gpt",
        edits=edit(
            "loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))",
            "loss = F.cross_entropy(logits.view(b, -1, t), targets)",
        ),
        check="loss-labels",
        guilty=("loss = F.cross_entropy(logits.view(b, -1, t), targets)",),
        belief="cross_entropy wants (batch, classes, time), and view makes that; only a transpose does.",
        shown_by=loss_is_not_of_the_next_token,
    ),
    Mistake(
        name="loss_of_probabilities",
        base="min_gpt",
        edits=edit(
            "loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))",
            "probs = F.softmax(logits, dim=-1)\n"
            "            loss = F.cross_entropy(probs.view(-1, probs.size(-1)), targets.view(-1))",
        ),
        check="loss-labels",
        guilty=("probs = F.softmax(logits, dim=-1)", "loss = F.cross_entropy(probs"),
        belief="cross_entropy compares probabilities; it applies softmax itself.",
        shown_by=loss_is_not_of_the_next_token,
        also=("logits",),
    ),
    Mistake(
        name="loss_is_a_sum",
        base="sliding_crop",
        edits=edit("targets.reshape(B * T))", 'targets.reshape(B * T), reduction="sum")'),
        check="loss-labels",
        guilty=("return logits, F.cross_entropy(",),
        belief="The optimiser does not mind a factor; the learning rate then depends on batch and length.",
        shown_by=loss_is_not_of_the_next_token,
    ),
    Mistake(
        name="token_zero_is_ignored",
        base="nano_gpt",
        edits=edit("ignore_index=-1)", "ignore_index=0)"),
        check="loss-labels",
        guilty=("loss = F.cross_entropy(",),
        belief="0 is padding; in GPT-2's vocabulary it is the exclamation mark.",
        shown_by=leaves_out_token_zero,
    ),
    Mistake(
        name="probabilities_are_returned",
        base="course_gpt",
        edits=edit("        return logits\n", "        return torch.softmax(logits, dim=-1)\n"),
        check="logits",
        guilty=("return torch.softmax(logits, dim=-1)",),
        belief="A model answers with probabilities; cross_entropy then applies softmax a second time.",
        shown_by=are_probabilities,
        also=("gradients",),
    ),
    Mistake(
        name="log_probabilities_are_returned",
        base="transformer_encoder",
        edits=edit(
            "        return self.linear(output)\n",
            "        return torch.log_softmax(self.linear(output), dim=-1)\n",
        ),
        check="logits",
        guilty=("return torch.log_softmax(",),
        belief="The loss wants log-probabilities, as NLLLoss does.",
        shown_by=are_log_probabilities,
    ),
    Mistake(
        name="softmax_is_the_last_layer",
        base="rolled_shift",
        edits=edit(
            "nn.Sequential(nn.LayerNorm(d), nn.Linear(d, vocab_size))",
            "nn.Sequential(nn.LayerNorm(d), nn.Linear(d, vocab_size), nn.Softmax(dim=-1))",
        ),
        check="logits",
        guilty=("return self.out(self.layers(self.emb(ids)))", "nn.Softmax(dim=-1)"),
        belief="A classifier ends with softmax.",
        shown_by=are_probabilities,
        also=("gradients",),
    ),
)
