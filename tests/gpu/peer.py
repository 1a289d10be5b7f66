"""The PyTorch masked autoencoder that this trainer is measured against, written to be fast.

It computes what tests/oracle/mae_oracle.py computes (test_peer.py checks loss, gradients and
trained weights against it) with everything PyTorch offers for speed: visible patches are gathered
before they are embedded, attention is scaled_dot_product_attention, AdamW is fused, products run
under autocast, the whole step may be compiled. Parameter names are those of the public checkpoints.
"""
import contextlib

import torch
import torch.nn.functional as F
from torch import nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}

VIT_BASE = dict(image_size=224, patch_size=16, encoder=(768, 12, 12), decoder=(384, 12, 6))
SMALL = dict(image_size=64, patch_size=8, encoder=(192, 6, 3), decoder=(96, 2, 3))
TINY = dict(image_size=32, patch_size=8, encoder=(64, 2, 2), decoder=(32, 1, 1))
MODELS = {"vit-base": VIT_BASE, "small": SMALL, "tiny": TINY}


def attention(q, k, v):
    """Before PyTorch 2.0 there is no public fused attention; the same function is spelled out."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v)
    return torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, -1) @ v


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        b, n, w = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(attention(q, k, v).transpose(1, 2).reshape(b, n, w))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PeerMae(nn.Module):
    """forward(images uint8 [b, s, s, 3], order int64 [b, L]) -> loss. order is a permutation of the
    patches, of which the first `keep` are visible."""

    def __init__(self, image_size, patch_size, encoder, decoder, ratio=0.75):
        super().__init__()
        d, depth, heads = encoder
        e, decoder_depth, decoder_heads = decoder
        self.patch, self.side = patch_size, image_size // patch_size
        self.patches = self.side ** 2
        self.keep = int(round(self.patches * (1 - ratio) * 1e6)) // 10 ** 6
        self.cls_token = nn.Parameter(torch.zeros(1, 1, d))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, e))
        # Only carries the two tables: their values come with the weights and are not trained.
        self.pos_embed = nn.Parameter(torch.zeros(1, self.patches + 1, d), requires_grad=False)
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, self.patches + 1, e),
                                              requires_grad=False)
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, d, patch_size, patch_size)
        self.blocks = nn.ModuleList([Block(d, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(d, eps=1e-6)
        self.decoder_embed = nn.Linear(d, e)
        self.decoder_blocks = nn.ModuleList(
            [Block(e, decoder_heads) for _ in range(decoder_depth)])
        self.decoder_norm = nn.LayerNorm(e, eps=1e-6)
        self.decoder_pred = nn.Linear(e, 3 * patch_size ** 2)
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(STD), persistent=False)

    def split(self, images):
        """Normalised patches [b, L, rows, columns, 3]."""
        b, p, side = len(images), self.patch, self.side
        x = (images.float() / 255 - self.mean) / self.std
        x = x.view(b, side, p, side, p, 3).transpose(2, 3)
        return x.reshape(b, self.patches, p, p, 3)

    def forward(self, images, order):
        patches = self.split(images)
        b, keep, p = len(images), self.keep, self.patch
        visible = order[:, :keep]
        rows = torch.arange(b, device=images.device)[:, None]

        # The convolution is a linear map of (channel, row, column); gathered first, it is a quarter
        # of the work.
        x = patches[rows, visible].permute(0, 1, 4, 2, 3).reshape(b, keep, 3 * p * p)
        x = F.linear(x, self.patch_embed.proj.weight.flatten(1), self.patch_embed.proj.bias)
        x = x + self.pos_embed[0, 1:][visible]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(b, -1, -1)
        x = torch.cat([first.to(x.dtype), x], 1)
        for block in self.blocks:
            x = block(x)
        x = self.decoder_embed(self.norm(x))

        hidden = self.mask_token.to(x.dtype).expand(b, self.patches - keep, -1)
        back = order.argsort(1)[:, :, None].expand(-1, -1, x.shape[-1])
        x = torch.cat([x[:, :1], torch.cat([x[:, 1:], hidden], 1).gather(1, back)], 1)
        x = x + self.decoder_pos_embed
        for block in self.decoder_blocks:
            x = block(x)
        prediction = self.decoder_pred(self.decoder_norm(x))[:, 1:]

        # Patches that were not shown count.
        masked = torch.ones(b, self.patches, device=images.device).scatter_(1, visible, 0.0)
        error = (prediction.float() - patches.view(b, self.patches, -1)).square().mean(-1)
        return (error * masked).sum() / (b * (self.patches - keep))


def make_optimizer(model, fused):
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in trained if p.dim() >= 2], "weight_decay": 0.05},
              {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), eps=1e-8,
                             **({"fused": True} if fused else {}))


def grad_scaler():
    """Before PyTorch 2.3 it has another name, which goes some day."""
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler("cuda")
    return torch.cuda.amp.GradScaler()


class Trainer:
    """Whole training steps of the model on a device."""

    def __init__(self, model, device, precision, compiled, mode=None):
        self.model = model.to(device)
        self.device = torch.device(device)
        self.type = PRECISIONS[precision]
        self.optimizer = make_optimizer(self.model, fused=self.device.type == "cuda")
        self.scaler = (grad_scaler() if precision == "fp16" and self.device.type == "cuda"
                       else None)
        # Each batch size gets code of its own. Left to itself, PyTorch answers a second size with
        # code for any, which is slower: it would not be at its best.
        self.forward = (torch.compile(self.model, mode=mode, dynamic=False) if compiled
                        else self.model)

    def draw_order(self, count):
        return torch.rand(count, self.model.patches, device=self.device).argsort(1)

    def step(self, images, order=None):
        """images uint8 on the device; returns the loss, on the device."""
        if order is None:
            order = self.draw_order(len(images))
        cast = (torch.autocast(self.device.type, self.type) if self.type
                else contextlib.nullcontext())
        with cast:
            loss = self.forward(images, order)
        self.optimizer.zero_grad(set_to_none=True)
        if self.scaler:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            loss.backward()
            self.optimizer.step()
        return loss.detach()


def random_resized_crop(pictures, size):
    """uint8 [b, s, s, 3] on the device -> uint8 [b, size, size, 3]: random resized crop (area 0.2
    to 1, ratio 3/4 to 4/3), bicubic, mirrored half of the time. For enlarging, where antialiasing
    changes nothing."""
    b, device = len(pictures), pictures.device
    area = torch.empty(b, device=device).uniform_(0.2, 1.0)
    ratio = torch.empty(b, device=device).uniform_(-0.28768207, 0.28768207).exp()
    width, height = (area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0)
    x = torch.rand(b, device=device) * (1 - width)
    y = torch.rand(b, device=device) * (1 - height)
    flip = torch.where(torch.rand(b, device=device) < 0.5, -1.0, 1.0)
    boxes = torch.zeros(b, 2, 3, device=device)
    boxes[:, 0, 0], boxes[:, 0, 2] = width * flip, 2 * x + width - 1
    boxes[:, 1, 1], boxes[:, 1, 2] = height, 2 * y + height - 1
    pixels = pictures.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(boxes, [b, 3, size, size], align_corners=False)
    out = F.grid_sample(pixels, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return out.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
