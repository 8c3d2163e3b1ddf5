"""Explore: a photo or clip, where its tokens look, what the network says, and what that costs."""

from app.opening import starting

with starting():
    from app.explore import main

main.draw()
