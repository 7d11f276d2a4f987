"""stub"""


def check_task(task): ...
def task_checks():
    return []
