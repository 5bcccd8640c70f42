"""The server's log; gunicorn's logger is played here, tests/live/mounts/test_logging.py has gunicorn."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from plugmw.kernel import server_log


class Lines(logging.Handler):
    """Keep what is logged."""

    def __init__(self, level=logging.NOTSET):
        super().__init__(level)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


@pytest.fixture
def get_logger(monkeypatch):
    """Return ``getLogger`` of a tree of its own: pytest has handlers at the root of the usual one."""
    root = logging.RootLogger(logging.WARNING)
    manager = logging.Manager(root)

    def get_logger(name=""):
        return manager.getLogger(name) if name else root

    names = SimpleNamespace(getLogger=get_logger, NOTSET=logging.NOTSET)
    monkeypatch.setattr(server_log, "logging", names)
    return get_logger


@pytest.fixture
def logger(get_logger):
    return get_logger("plugmw")


@pytest.fixture
def gunicorn(get_logger):
    """Return what gunicorn's log gets."""
    lines = Lines()
    error_log = get_logger(server_log.GUNICORN)
    error_log.addHandler(lines)
    error_log.propagate = False
    error_log.setLevel(logging.INFO)
    return lines


def started():
    server_log.adopt()
    server_log.adopt_level()


def test_under_gunicorn_lines_go_to_its_log_at_its_level(get_logger, logger, gunicorn):
    started()
    get_logger("plugmw.http-log").info("sent")
    logger.debug("in detail")
    assert gunicorn.texts == ["sent"]


def test_gunicorns_log_level_is_the_one_setting(get_logger, logger, gunicorn):
    get_logger(server_log.GUNICORN).setLevel(logging.DEBUG)
    started()
    logger.debug("in detail")
    assert gunicorn.texts == ["in detail"]


def test_several_gateways_log_each_line_once(logger, gunicorn):
    started()
    started()
    logger.warning("once")
    assert gunicorn.texts == ["once"]


def test_a_handler_of_gunicorn_keeps_its_own_level(logger, gunicorn):
    gunicorn.setLevel(logging.ERROR)
    started()
    logger.warning("left out")
    logger.error("an error")
    assert gunicorn.texts == ["an error"]


def test_a_level_that_the_application_set_stays(logger, gunicorn):
    logger.setLevel(logging.ERROR)
    started()
    assert logger.level == logging.ERROR


@pytest.mark.parametrize("name", ["", "plugmw"])
def test_logging_that_is_configured_between_building_and_start_is_left_alone(
    name, get_logger, logger, gunicorn
):
    server_log.adopt()
    own = Lines()
    get_logger(name).addHandler(own)
    server_log.adopt_level()
    logger.warning("mine")
    logger.info("below what the application asked for")
    assert (own.texts, gunicorn.texts) == (["mine"], [])


def test_handlers_of_the_root_do_not_count_where_nothing_gets_to_them(get_logger, logger, gunicorn):
    logger.propagate = False
    get_logger().addHandler(Lines())
    started()
    logger.warning("here")
    assert gunicorn.texts == ["here"]


def test_without_gunicorn_nothing_is_touched(logger):
    started()
    assert (logger.handlers, logger.level) == ([], logging.NOTSET)
