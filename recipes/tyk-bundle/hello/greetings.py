GREETING = "hello from the bundle"
