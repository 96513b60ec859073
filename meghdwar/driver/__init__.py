"""Works the plan on real gateways: builds cloudlets, moves them with their state, keeps a journal of all it does."""
