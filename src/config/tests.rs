//! Scenarios over whole files. Rules have one fixture each, in `tests/rules.rs`.

use std::path::Path;

use super::{Config, Loaded, MemoryFiles, load};

/// Loads one file that stands alone.
fn load_text(text: impl Into<Vec<u8>>) -> Loaded {
    load(Path::new("tidegate.yaml"), &MemoryFiles::new().with("tidegate.yaml", text))
}

/// The configuration of a text without any problem.
#[track_caller]
fn good(text: &str) -> Config {
    let loaded = load_text(text);
    let shown = loaded.problems.render_human(false);
    assert_eq!(loaded.problems.counts(), (0, 0), "{shown}");
    loaded.config.expect("a configuration without problems is complete")
}

const BLUE_GREEN: &str = "
listen: 8080
services:
  shop:
    live: blue
    versions:
      blue:  http://10.0.1.10:3000
      green: http://10.0.2.10:3000
";

const CANARY: &str = "
listen: 8080
services:
  shop:
    live: v1
    versions:
      v1: http://10.0.1.10:3000
      v2: http://10.0.2.10:3000
    rollout:
      steps: [5% for 5m, 25% for 10m, 50% for 10m]
      guard: {errors: 1%}
";

#[test]
fn smallest_files() {
    let config = good(BLUE_GREEN);
    assert_eq!(config.listeners[0].address.to_string(), "0.0.0.0:8080");
    assert_eq!(config.listeners[0].name.as_str(), "http");
    let service = &config.services[0];
    assert_eq!(service.spec.versions[service.live.0].name.as_str(), "blue");
    assert!(service.plan.steps.is_empty());
    assert_eq!(service.plan.watch.time.as_secs(), 300);

    let config = good(CANARY);
    let plan = &config.services[0].plan;
    let steps: Vec<String> =
        plan.steps.iter().map(|it| format!("{} {}s", it.weight, it.soak.as_secs())).collect();
    assert_eq!(steps, ["5% 300s", "25% 600s", "50% 600s"]);
    let errors = plan.guard.errors.expect("on unless switched off");
    assert_eq!(errors.ceiling, Some(0.01));
    assert_eq!(errors.tolerance, Default::default());
}

mod hostile;
mod keys;
mod meaning;
