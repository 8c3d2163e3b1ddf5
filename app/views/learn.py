"""Learn: what TokenLearner does, in seven steps on a picture of one's own."""

from app.opening import starting

with starting():
    from app.learn import lesson

lesson.draw()
