//! Which of several routes that match wins: one table for each rule.

use super::check;

#[test]
fn nothing_matches_nothing() {
    check("", "GET a.test/ => -");
    check("a: a.test /x", "GET a.test/ => -\n GET b.test/x => -\n GET a.test/x => a");
}

#[test]
fn exact_host_then_longer_wildcard_then_shorter_then_any() {
    check(
        "any:   *               /
         short: *.test          /
         long:  *.shop.test     /
         exact: www.shop.test   /",
        "GET www.shop.test/     => exact
         GET api.shop.test/     => long
         GET a.b.shop.test/     => long
         GET shop.test/         => short
         GET a.other.test/      => short
         GET test/              => any
         GET www.shop.test./    => exact
         GET api.shop.test./    => long
         GET wwwshop.test/      => short
         GET .test/             => any
         GET 127.0.0.1/         => any
         GET [::1]/             => any",
    );
}

#[test]
fn less_specific_hosts_are_asked_when_nothing_matches() {
    check(
        "health: *.test      =/health
         all:    *           / HEAD
         shop:   shop.test   /shop",
        "GET  shop.test/shop    => shop
         GET  shop.test/health  => health
         HEAD shop.test/health  => health
         HEAD shop.test/other   => all
         GET  shop.test/other   => -",
    );
}

#[test]
fn host_comes_before_path() {
    check(
        "login: *          =/login POST x-beta:1 ?a=b
         shop:  shop.test  /",
        "POST shop.test/login?a=b x-beta:1   => shop
         POST other.test/login?a=b x-beta:1  => login",
    );
}

#[test]
fn hosts_are_written_in_any_case_and_with_or_without_a_dot() {
    check(
        "a: WWW.Shop.Test.,www.shop.test  /
         b: *.Shop.Test.                  /",
        "GET www.shop.test/ => a
         GET api.shop.test/ => b",
    );
}

#[test]
fn exact_then_regex_then_longest_prefix() {
    check(
        r"root:   * /
          api:    * /api
          users:  * /api/users
          regex:  * ~^/api/users/[0-9]+$
          exact:  * =/api/users/7",
        "GET h/                 => root
         GET h/apix             => root
         GET h/api              => api
         GET h/api/             => api
         GET h/api/user         => api
         GET h/api/usersx       => api
         GET h/api/users        => users
         GET h/api/users/       => users
         GET h/api/users/x      => users
         GET h/api/users/8      => regex
         GET h/api/users/7      => exact
         GET h/api/users/7/     => users
         GET h/API              => root",
    );
}

#[test]
fn a_slash_at_the_end_of_a_prefix_changes_nothing() {
    check(
        "a: * /api/",
        "GET h/api => a
         GET h/api/ => a
         GET h/api/x => a
         GET h/api//x => a
         GET h/apix => -
         GET h/ => -",
    );
    check("a: * =/api/\n b: * =/api", "GET h/api => b\n GET h/api/ => a\n GET h/api/x => -");
}

#[test]
fn elements_are_compared_whole_even_when_empty() {
    check(
        "a: * /a//b
         b: * /a",
        "GET h/a//b/c => a
         GET h/a//b   => a
         GET h/a/b    => b
         GET h/a//bc  => b",
    );
}

#[test]
fn longest_prefix_counts_even_when_its_conditions_fail() {
    check(
        "beta: * /api/v2 x-beta:1
         api:  * /api POST
         root: * /",
        "POST h/api/v2 x-beta:1 => beta
         POST h/api/v2          => api
         GET  h/api/v2          => root",
    );
}

#[test]
fn different_regexes_in_the_order_of_the_file() {
    check(
        "first:  * ~^/v[0-9]+/
         second: * ~/users$ GET x-a:1
         third:  * ~^/v1/",
        "GET h/v1/users x-a:1 => first
         GET h/x/users x-a:1  => second
         GET h/x/users        => -
         GET h/v1             => -",
    );
    check(
        "first:  * ~^/v1/ x-a:1
         second: * ~^/v[0-9]/",
        "GET h/v1/ x-a:1 => first
         GET h/v1/       => second",
    );
}

#[test]
fn the_same_regex_is_told_apart_by_conditions() {
    check(
        "plain: * ~^/v[0-9]+/
         other: * ~^/v1
         post:  * ~^/v[0-9]+/ POST
         beta:  * ~^/v[0-9]+/ x-beta:1",
        "GET  h/v1/ => plain
         POST h/v1/ => post
         POST h/v1/ x-beta:1 => post
         GET  h/v1/ x-beta:1 => beta
         GET  h/v1  => other",
    );
}

#[test]
fn regexes_are_anchored_only_as_written_and_know_ascii_classes() {
    check(
        r"word: * ~/(?i:cart)/\w+$
          tail: * ~\.(png|jpe?g)$",
        "GET h/shop/CART/item_1 => word
         GET h/shop/cart/%41    => -
         GET h/a/b.jpg          => tail
         GET h/a/b.jpg/         => -",
    );
}

#[test]
fn method_then_headers_then_query_then_order() {
    check(
        "first:   * /
         query:   * / ?a=1
         queries: * / ?a=1 ?b=2
         header:  * / x-a:1
         headers: * / x-a:1 x-b:2
         method:  * / POST,PUT",
        "GET  h/                        => first
         GET  h/?a=1                    => query
         GET  h/?b=2&a=1                => queries
         GET  h/?b=2&a=1 x-a:1          => header
         GET  h/?b=2&a=1 x-a:1 X-B:2    => headers
         POST h/?b=2&a=1 x-a:1 x-b:2    => method
         PUT  h/                        => method
         post h/                        => first
         GET  h/?a=2                    => first
         GET  h/ x-a:2                  => first",
    );
    check("first: * / x-a:1\n second: * / x-b:1", "GET h/ x-a:1 x-b:1 => first\n GET h/ x-b:1 => second");
}

#[test]
fn a_condition_said_twice_counts_once() {
    check(
        "two:   * / x-b:1 x-c:1
         twice: * / x-a:1 X-A:* x-a:1",
        "GET h/ x-a:1 x-b:1 x-c:1 => two
         GET h/ x-a:1             => twice",
    );
}

#[test]
fn values_of_headers_and_parameters() {
    check(
        "any: * /any x-a:* ?p=*
         one: * /one x-a:1
         par: * /par ?p=a%20b",
        "GET h/any?p x-a:          => any
         GET h/any?p               => -
         GET h/any x-a:1           => -
         GET h/one x-a:0 x-a:1     => one
         GET h/one x-a:11          => -
         GET h/one x-a:1,2         => -
         GET h/par?p=a%2520b       => par
         GET h/par?p=a%20b         => -
         GET h/par?p=x&p=a%2520b   => -",
    );
}

/// Enough that a table of states by expressions would not fit into memory.
#[test]
fn thousands_of_regexes_on_one_host() {
    let routes =
        (0..3_000).map(|it| format!("r{it}: * ~{}/t{it}/[0-9]+$", if it % 7 == 0 { "" } else { "^" }));
    let requests = (0..3_000).step_by(101).map(|it| format!("GET h/t{it}/1 => r{it}\n GET h/t{it}/x => -\n"));
    check(&routes.collect::<Vec<_>>().join("\n"), &requests.collect::<String>());
}
