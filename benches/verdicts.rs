//! `cargo bench --bench verdicts [-- RUNS [HOURS]]`: how soon bad canaries are found, and whether healthy
//! ones are left alone, in simulated releases. Prints one row for each scenario.

#[path = "../tests/verdicts/simulator.rs"]
mod simulator;

use simulator::{Scenario, USUAL, medians};

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let runs = numbers.first().copied().unwrap_or(100);
    let hours = numbers.get(1).copied().unwrap_or(10);

    println!("{:<28}{:>14}{:>10}{:>8}", "canary", "median time", "failures", "missed");
    for stable in [0.001, 0.01] {
        for points in [1.0, 5.0, 50.0, 100.0] {
            let canary = f64::min(stable + points / 100.0, 1.0);
            let (seconds, failures, missed) = medians(Scenario { stable, canary, ..USUAL }, runs);
            let name = format!("stable {}%, +{points}pp", stable * 100.0);
            println!("{name:<28}{seconds:>12.2} s{failures:>10}{missed:>8}");
        }
    }

    println!("\n{:<28}{:>14}{:>10}", "healthy", "hours", "false");
    for stable in [0.001, 0.01, 0.05] {
        let hour = Scenario { stable, canary: stable, ..USUAL };
        let wrong = (0..hours).filter(|seed| hour.run(*seed).is_some()).count();
        println!("{:<28}{hours:>14}{wrong:>10}", format!("{}% errors", stable * 100.0));
    }
}
