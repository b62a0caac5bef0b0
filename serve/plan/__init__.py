"""From settings and the model directory to what is started."""
