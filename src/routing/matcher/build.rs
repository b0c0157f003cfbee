//! Builds the index of a matcher and finds the routes that can never win.
//!
//! A route is hidden where a route that ranks before it, with the same host and path condition, takes
//! every request it would. It is unreachable when it is hidden under every one of its hosts. What a
//! regular expression hides is not looked for, except behind the very same expression.

use super::conditions::Conditions;
use super::host::Hosts;
use super::path::{Candidates, PathCondition, Paths};
use super::pattern::is_anchored;
use super::{RouteId, RouteMatch, RouteProblem};

/// The conditions of each route, and the index by host and path.
pub(super) fn index(routes: &[RouteMatch]) -> Result<(Vec<Conditions>, Hosts<Paths>), Vec<RouteProblem>> {
    let conditions: Vec<Conditions> = routes.iter().map(Conditions::of).collect();
    let mut problems = Vec::new();
    let mut hosts: Hosts<Paths> = Hosts::default();
    for (id, route) in routes.iter().enumerate() {
        match regex_problem(id, &route.path) {
            Some(problem) => problems.push(problem),
            None => route.hosts.iter().for_each(|it| hosts.entry(it).add(&route.path, id)),
        }
    }
    let mut reach = vec![Reach::Unknown; routes.len()];
    for paths in hosts.values_mut() {
        for candidates in paths.groups_mut() {
            candidates.sort_by_key(|id| (conditions[*id].rank(), *id));
            look_for_hidden(candidates, &conditions, &mut reach);
        }
        let last = paths.last_with_pattern();
        if let (Err(error), Some(route)) = (paths.compile(), last) {
            let message = format!("with the other regular expressions of its host: {error}");
            problems.push(RouteProblem::Regex { route, message });
        }
    }
    problems.extend(reach.iter().enumerate().filter_map(|(route, it)| match it {
        Reach::Hidden { by } => Some(RouteProblem::Unreachable { route, by: *by }),
        Reach::Unknown | Reach::Open => None,
    }));
    problems.sort_by_key(RouteProblem::route);
    if problems.is_empty() { Ok((conditions, hosts)) } else { Err(problems) }
}

/// Each expression is tried alone first, so that the message points at the one that is wrong.
fn regex_problem(route: RouteId, path: &PathCondition) -> Option<RouteProblem> {
    let PathCondition::Regex(text) = path else { return None };
    let error = is_anchored(text).err()?;
    Some(RouteProblem::Regex { route, message: error.to_string() })
}

/// What is known about a route after some of its hosts.
#[derive(Clone, Copy, Debug)]
enum Reach {
    Unknown,
    /// Hidden under every host looked at so far; `by` is the first route of the file that hides it
    /// under one of them.
    Hidden {
        by: RouteId,
    },
    /// It wins for some request.
    Open,
}

fn look_for_hidden(ranked: &Candidates, conditions: &[Conditions], reach: &mut [Reach]) {
    for (position, id) in ranked.iter().enumerate() {
        let before = &ranked[position.saturating_sub(COMPARED_MAX)..position];
        let hides = |other: &&RouteId| conditions[**other].follow_from(&conditions[*id]);
        reach[*id] = match (reach[*id], before.iter().find(hides)) {
            (Reach::Unknown, Some(by)) => Reach::Hidden { by: *by },
            (Reach::Hidden { by: known }, Some(by)) => Reach::Hidden { by: known.min(*by) },
            (_, None) | (Reach::Open, _) => Reach::Open,
        };
    }
}

/// How many neighbours in rank each route is compared with. Thousands of routes with one host and path
/// would otherwise be compared in pairs; beyond the bound a hidden route may go unreported, which
/// changes nothing about which route wins.
const COMPARED_MAX: usize = 1_000;
