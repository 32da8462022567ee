"""What is made of the losses of one member: one number, lower is better."""
