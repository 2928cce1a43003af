"""One package, so that its gateways end with it: their clocks are put forward."""
