"""A model that a recipe began with, and one that it made."""

from recipes.kit.rows import Row

BEGAN = Row(
    recipe="prune", model="whole", top_1=(0.9, 0.88, 0.915), difference=None, agreement=None, change=None, loss=None,
    size=1.0, alone=None, batch_8=None, photos=400, difficulty="a line", minutes=2.25,
)  # fmt: skip
HALF = Row(
    recipe="prune", model="half", top_1=(0.89, 0.87, 0.91), difference=(-0.01, -0.02, 0.0025), agreement=0.95,
    change=0.4, loss=(0.02, 0.004), size=3.5, alone=(1.5, 1.25, 1.75), batch_8=(2.0, 1.5, 2.5), photos=400,
    difficulty="training", minutes=2.25, note="half of the channels",
)  # fmt: skip
