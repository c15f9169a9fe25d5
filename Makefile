# The commands of this project. Each does what it needs by itself; a Postgres server is found or fetched.

.PHONY: run test ci checks fmt clippy doc deny build bench

run: ## build, and answer the queries of the quickstart with the fake provider
	cargo run --locked --quiet --bin ark -- run examples/quickstart.yaml --provider mock --watch

test: ## every test; ends with N passed, N failed, N skipped
	.ci/test

ci: checks test ## what must hold before a change lands

checks: fmt clippy doc deny

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

deny:
	.ci/deny

build: ## the executable, optimised
	cargo build --release --locked --bin ark

bench: ## the queue alone, through the production statements
	cargo bench --locked -p ark-loadtest --bench queue
