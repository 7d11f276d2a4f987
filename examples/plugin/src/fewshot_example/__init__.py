"""A head, an estimator, a backbone, a data set, a task and a logger for fewshot."""
