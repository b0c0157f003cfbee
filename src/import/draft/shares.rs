//! Weights of servers as shares of versions.
//!
//! Other proxies give weights to servers, and tidegate to versions, whose endpoints count alike. Servers of one weight
//! are taken for one version; its share is what they have together.

use super::super::units::basis_points;

/// Servers of one weight.
pub(in crate::import) struct Peers<'a, T> {
    /// What they have together, in basis points.
    pub share: u64,
    /// They, in the order of the file.
    pub servers: Vec<&'a T>,
}

/// The servers by weight, in the order in which each weight is first seen.
pub(in crate::import) fn by_weight<T>(servers: &[T], weight: impl Fn(&T) -> u64) -> Vec<Peers<'_, T>> {
    let sum = |all: &mut dyn Iterator<Item = &T>| all.map(&weight).fold(0, u64::saturating_add);
    let whole = sum(&mut servers.iter());
    let mut weights: Vec<u64> = Vec::new();
    for it in servers {
        if !weights.contains(&weight(it)) {
            weights.push(weight(it));
        }
    }
    let peers = |of: u64| {
        let servers: Vec<&T> = servers.iter().filter(|it| weight(it) == of).collect();
        Peers { share: basis_points(sum(&mut servers.iter().copied()), whole), servers }
    };
    weights.into_iter().map(peers).collect()
}

/// What has to be known of servers that have become several versions.
pub(in crate::import) fn why_several(names: &[&str]) -> String {
    format!(
        "servers of one weight are one version: {}; if the weights say how strong machines are, put them into one \
         version with `balance: least_request`",
        names.join(", ")
    )
}
