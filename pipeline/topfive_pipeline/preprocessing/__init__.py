"""How a picture becomes what a network was trained on: rules, their names, and where they are written down."""
