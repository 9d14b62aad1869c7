"""How a run looks: live tables, plain lines, and what is left on the screen."""
