"""Platform parameters, with encoding/json's words for what is none."""

import pytest

from engine.api.wire import platforms
from engine.core.errors import InvalidParameter
from engine.core.model.image import Platform

ARM = Platform(os="linux", architecture="arm64")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"os":"linux","architecture":"arm64"}', ARM),
        ('{"OS":"linux","Architecture":"aarch64","variant":"v8","other":1}', ARM),
        ('{"os":"linux","architecture":"arm"}', Platform(os="linux", architecture="arm", variant="v7")),
        ('{"os":"linux","architecture":"arm64","variant":null}', ARM),
    ],
)
def test_platforms(text, found):
    assert platforms.decode(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("linux/arm64", "failed to parse platform: invalid character 'l' looking for beginning of value"),
        ("[]", "failed to parse platform: json: cannot unmarshal array into Go value of type v1.Platform"),
        ('"x"', "failed to parse platform: json: cannot unmarshal string into Go value of type v1.Platform"),
        ("7", "failed to parse platform: json: cannot unmarshal number into Go value of type v1.Platform"),
        ("true", "failed to parse platform: json: cannot unmarshal bool into Go value of type v1.Platform"),
        (
            '{"os":1}',
            "failed to parse platform: json: cannot unmarshal number into Go struct field Platform.os of type string",
        ),
        ("{}", "both OS and Architecture must be provided"),
        ("null", "both OS and Architecture must be provided"),
        ('{"os":"linux"}', "both OS and Architecture must be provided"),
    ],
)
def test_what_is_none(text, message):
    with pytest.raises(InvalidParameter) as raised:
        platforms.decode(text)
    assert str(raised.value) == message
