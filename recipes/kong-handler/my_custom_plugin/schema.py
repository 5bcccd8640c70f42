"""The configuration, in Kong's schema language."""

SCHEMA = {
    "name": "my-custom-plugin",
    "fields": [
        {
            "config": {
                "type": "record",
                "fields": [
                    {"greeting": {"type": "string", "required": True, "description": "Said to the app."}},
                    {"refusal": {"type": "string", "default": "not for you", "len_max": 80}},
                    {"shout": {"type": "boolean", "default": False}},
                ],
            }
        }
    ],
}
