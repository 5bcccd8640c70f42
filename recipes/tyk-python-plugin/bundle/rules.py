"""Another file of the bundle: `import rules` finds it, here and under Tyk."""

ROBOTS = ("bot", "crawler", "spider")


def is_robot(agent):
    return any(word in agent.lower() for word in ROBOTS)
