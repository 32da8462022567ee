"""A run that is trained in parts, each by a session of its own."""

from es_randomized import RunFolder, local_evaluator
from es_randomized.drivers.driver import Driver
from es_randomized.session import RunResult, TrainingSession, run_session


def trained_in_parts(folder: RunFolder, driver: Driver, *ends: int) -> RunResult:
    """Make the run and train it to its end, with a break before each of these generations."""
    folder.create(driver.experiment)
    for end in ends:
        with TrainingSession(folder, driver, local_evaluator(driver)) as session:
            rows = session.rows()
            while session.generation < end:
                next(rows)
    return run_session(folder, driver, local_evaluator(driver), lambda _: None)
