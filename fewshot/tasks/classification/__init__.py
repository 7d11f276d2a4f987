"""N-way classification of episodes, and forecasts from one support set."""
