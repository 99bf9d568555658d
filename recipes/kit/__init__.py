"""What the recipes share: pictures, training, and the way to a served and judged model."""
