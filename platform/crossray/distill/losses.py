"""What a student learns from a teacher (docs/decisions/0007).

Teacher tensors must be detached; no gradient is meant to reach a teacher.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def hidden_loss(student_BTD: Tensor, teacher_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    r"""One term of `L_hid`: squared distance of hidden states, per valid token and dimension.

    $$\frac1{n d} \sum \lVert W h_s - h_t \rVert_2^2$$

    Args:
        student_BTD: hidden states already mapped to the teacher's width, `W h_s`.
        teacher_BTD: hidden states of the teacher's layer.
        mask_BT: bool, True at valid tokens; a batch without any adds 0.
    """
    square_BTD = (student_BTD - teacher_BTD).square() * mask_BT[..., None]
    return square_BTD.sum() / (mask_BT.sum() * student_BTD.shape[-1]).clamp(min=1)


def attention_loss(student_BTT: Tensor, teacher_BTT: Tensor) -> Tensor:
    r"""One term of `L_att`, averaged over the batch.

    $$\Big\lVert \frac{A_s}{\lVert A_s \rVert_F} - \frac{A_t}{\lVert A_t \rVert_F} \Big\rVert_F^2$$

    Args:
        student_BTT: attention maps averaged over heads; 0 at padding.
        teacher_BTT: the same of the teacher, over the same token sequence.
    """
    student_BA = functional.normalize(student_BTT.flatten(1), dim=1)
    teacher_BA = functional.normalize(teacher_BTT.flatten(1), dim=1)
    return (student_BA - teacher_BA).square().sum(dim=1).mean()


def order_loss(student_QC: Tensor, teacher_QC: Tensor, same_QC: Tensor, margin: float) -> Tensor:
    r"""`L_rank`: the student orders the right candidate and negatives as the teacher does.

    $$\Big[ m' - (s_S(q,p) - s_S(q,n))\,\mathrm{sign}(s_T(q,p) - s_T(q,n)) \Big]_+$$

    averaged over queries q with candidate p = q and all negatives n.

    Args:
        student_QC: scores; candidate q belongs to query q, Q = C.
        teacher_QC: scores of the same pairs.
        same_QC: bool, True where the candidate shows the query's study (never a negative).
        margin: m' of the formula.

    Returns:
        A scalar >= 0; 0 where there is no negative.
    """
    order_QC = (teacher_QC.diagonal()[:, None] - teacher_QC).sign()
    gap_QC = student_QC.diagonal()[:, None] - student_QC
    violation_QC = (margin - gap_QC * order_QC).clamp(min=0) * ~same_QC
    return violation_QC.sum() / (~same_QC).sum().clamp(min=1)


def embedding_loss(student_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    r"""Distance of final embeddings, averaged over the batch.

    $$\frac1B \sum \lVert W z_s - z_t \rVert_2^2$$

    Args:
        student_BD: embeddings already mapped to the teacher's dimensions, `W z_s`.
        teacher_BD: the teacher's embeddings.
    """
    return (student_BD - teacher_BD).square().sum(dim=1).mean()


def score_divergence(
    student_BB: Tensor, image_to_text_BB: Tensor, text_to_image_BB: Tensor, temperature: float
) -> Tensor:
    r"""`L_ctr`: KL divergence of the student's softmax from the teacher's.

    $$\mathrm{KL}\big(\mathrm{softmax}(S_T/\tau) \,\Vert\, \mathrm{softmax}(S_S/\tau)\big)$$

    averaged over rows, over columns, and over the two.

    Args:
        student_BB: scores of images (rows) with texts (columns).
        image_to_text_BB: the teacher's scores of the same pairs, images as queries (rows).
        text_to_image_BB: the teacher's scores, texts as queries (rows).
        temperature: tau of the formula, for both.
    """

    def divergence(student_QC: Tensor, teacher_QC: Tensor) -> Tensor:
        return functional.kl_div(
            torch.log_softmax(student_QC / temperature, dim=1),
            torch.log_softmax(teacher_QC / temperature, dim=1),
            reduction="batchmean",
            log_target=True,
        )

    return (
        divergence(student_BB, image_to_text_BB) + divergence(student_BB.T, text_to_image_BB)
    ) / 2
