"""What MIPROv2 is certain to ask: its calls go out early, and the search itself runs unmodified."""
