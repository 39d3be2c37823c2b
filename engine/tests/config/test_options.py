"""The table of settings and the struct agree."""

from engine.config.options import HELP_ONLY, IGNORED, OPTIONS, REFUSED
from engine.config.settings import Config
from engine.config.usage import usage


def test_each_option_is_a_setting_or_says_why_not() -> None:
    fields = set(Config.__struct_fields__)
    known = {option.flag for option in OPTIONS if option.field in fields or option.file_key in IGNORED | REFUSED}
    assert {option.flag for option in OPTIONS} - known - set(HELP_ONLY) == set()


def test_each_setting_has_an_option() -> None:
    made = {"notices", "arguments", "config_file"}
    assert set(Config.__struct_fields__) - {option.field for option in OPTIONS} - made == set()


def test_help_lists_flags_with_their_defaults() -> None:
    text = usage()
    assert "  -H, --host list" in text
    assert '"/var/lib/wharf")' in text
    assert "builder" not in text
