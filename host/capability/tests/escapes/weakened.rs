//! Each line of the policy is there for something: without it the corpora are not as they should be.

use fleet_escapes::Corpus;
use toml::{Table, Value};

use crate::faults;
use crate::world::{World, shipped};

/// What a text rule becomes that allows everything.
const ANYTHING: &str = r"(?s).*";
/// The same in a schema.
const ANY_TEXT: &str = r"^(?s).*$";

/// A policy that allows more, and what was done to it.
struct Weaker {
    what: String,
    policy: Value,
}

/// What makes no difference. Where no workload is named, the rule before it lists all of this host; and
/// an id is owned or not, whatever ids may look like.
const NO_DIFFERENCE: [&str; 3] = [
    "container-find query/workload/required",
    "sorts/container/pattern",
    "sorts/exec/pattern",
];

/// Where something stands: keys, and places in lists.
type Path = Vec<String>;

#[test]
fn a_policy_that_allows_more_turns_the_corpora_red() {
    let shipped: Value = Value::Table(shipped().parse::<Table>().unwrap());
    let corpus = Corpus::docker(&World::new().names);
    let weaker = weakened(&shipped);
    assert!(weaker.len() > 100, "{}", weaker.len());
    let mut unnoticed = Vec::new();
    let mut unread = 0;
    for Weaker { what, policy } in &weaker {
        // One that is refused when it is read cannot come into force at all.
        match World::under(&toml::to_string(policy).unwrap()) {
            Err(_) => unread += 1,
            Ok(world) if faults(&world, &corpus).is_empty() => {
                let is_known = NO_DIFFERENCE.iter().any(|known| what.contains(known));
                unnoticed.extend((!is_known).then_some(what.as_str()));
            }
            Ok(_) => {}
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
    println!(
        "{} weaker policies, {unread} of them refused when read",
        weaker.len()
    );
}

/// Every single way of taking something away.
fn weakened(policy: &Value) -> Vec<Weaker> {
    let mut all = Vec::new();
    let mut places = Vec::new();
    visit(policy, &mut Path::new(), &mut places);
    for place in places {
        let (key, holder) = place.split_last().unwrap();
        let is_in = |part: &str| holder.iter().any(|key| key == part);
        // What becomes of answers is shown where there are some.
        if is_in("response") || is_in("adopt") || is_in("stream") || is_in("framings") {
            continue;
        }
        let in_schema = is_in("schema") || is_in("schemas");
        let was = at(policy, &place).clone();
        let mut change = |how: &str, change: &dyn Fn(&mut Value)| {
            let mut policy = policy.clone();
            change(&mut policy);
            let what = format!("{how} {}: {was}", named(&policy, &place));
            all.push(Weaker { what, policy });
        };
        let text = |text: &str| Value::String(text.to_owned());
        match key.as_str() {
            "pattern" if is_in("not") => {}
            "not" | "propertyNames" => change("without", &|policy| {
                at_mut(policy, holder).as_table_mut().unwrap().remove(key);
            }),
            "pattern" if in_schema => {
                change("any text at", &|policy| {
                    *at_mut(policy, &place) = text(ANY_TEXT)
                });
            }
            "pattern" => change("anything at", &|policy| {
                *at_mut(policy, &place) = text(ANYTHING)
            }),
            "one_of" | "owned" => change("anything at", &|policy| {
                let rule = at_mut(policy, holder).as_table_mut().unwrap();
                rule.remove(key);
                rule.insert("pattern".to_owned(), text(ANYTHING));
            }),
            "enum" | "const" => change("any text at", &|policy| {
                let schema = at_mut(policy, holder).as_table_mut().unwrap();
                schema.remove(key);
                let kind = match &was {
                    Value::Boolean(_) => "boolean",
                    _ => "string",
                };
                schema.insert("type".to_owned(), text(kind));
                if kind == "string" {
                    schema.insert("pattern".to_owned(), text(ANY_TEXT));
                }
            }),
            "required" | "verbs" | "force_json" => change("without", &|policy| {
                at_mut(policy, holder).as_table_mut().unwrap().remove(key);
            }),
            "force" if !was.is_array() => change("without", &|policy| {
                at_mut(policy, holder).as_table_mut().unwrap().remove(key);
            }),
            number if holder.last().is_some_and(|last| last == "force") => {
                change("without", &|policy| {
                    let forced = at_mut(policy, holder).as_array_mut().unwrap();
                    forced.remove(number.parse().unwrap());
                });
            }
            _ => {}
        }
    }
    all
}

/// A place as people find it: in a rule, by its name.
fn named(policy: &Value, place: &[String]) -> String {
    let [rules, index, inside @ ..] = place else {
        return place.join("/");
    };
    if rules != "rules" {
        return place.join("/");
    }
    let rule = &policy[rules.as_str()][index.parse::<usize>().unwrap()];
    let name = rule["name"].as_str().unwrap();
    format!("{name} {}", inside.join("/"))
}

/// All places below.
fn visit(value: &Value, here: &mut Path, places: &mut Vec<Path>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (key, value) in members {
        here.push(key);
        places.push(here.clone());
        visit(value, here, places);
        here.pop();
    }
}

fn at<'v>(value: &'v Value, place: &[String]) -> &'v Value {
    place.iter().fold(value, |value, key| match value {
        Value::Array(items) => &items[key.parse::<usize>().unwrap()],
        table => &table[key.as_str()],
    })
}

fn at_mut<'v>(value: &'v mut Value, place: &[String]) -> &'v mut Value {
    place.iter().fold(value, |value, key| match value {
        Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
        table => &mut table[key.as_str()],
    })
}
