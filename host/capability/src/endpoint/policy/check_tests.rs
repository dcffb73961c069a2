//! Policies that pass, and those that do not, with the reason and its place.

use super::*;

const HEAD: &str = "schema = 1\n[sorts.thing]\npattern = '[0-9a-f]{32}'\n[sorts.part]\npattern = '[0-9a-f]{32}'\nparent = \"thing\"\n";

fn rule(more: &str) -> String {
    format!("{HEAD}[[rules]]\nname = \"x\"\nmethod = \"POST\"\npath = \"/a\"\n{more}\n")
}

fn write(more: &str) -> String {
    rule(&format!("effect = \"write\"\n{more}"))
}

#[test]
fn the_example_of_the_reference_passes() {
    let book = include_str!("../../../../../docs/endpoints.md");
    let begin = book.find("schema = 1\n").unwrap();
    let example = book[begin..].split("```").next().unwrap();
    let policy = Policy::parse("jobs.toml", example).unwrap();
    let names: Vec<&str> = policy.rules().collect();
    assert_eq!(
        names,
        ["job-create", "job-inspect", "job-output", "job-remove"]
    );
    assert_eq!(policy.description(), "The job service");
}

#[test]
fn each_mistake_names_its_line_and_what_was_expected() {
    let object = "{ type = \"object\", additionalProperties = false }";
    for (text, want) in [
        ("schema = 2\n[[rules]]".to_owned(), "p.toml:"),
        ("schema = 1".to_owned(), "no [[rules]]"),
        (
            "schema = 1\ncolour = 1".to_owned(),
            "p.toml:2: unknown field `colour`",
        ),
        (
            "schema = 1\n[limits]\ntimeout_ms = 0".to_owned(),
            "p.toml:3: `timeout_ms = 0` is out of bounds",
        ),
        (
            "schema = 1\nerrors = [\"a\"]".to_owned(),
            "p.toml:2: `a` is no pointer",
        ),
        (
            "schema = 1\n[sorts.a]\npattern = \"a)(b\"".to_owned(),
            "no pattern",
        ),
        (
            "schema = 1\n[sorts.a]\npattern = \"a\"\nparent = \"b\"".to_owned(),
            "`parent` must be another sort",
        ),
        (
            "schema = 1\n[sorts.a]\npattern = \"a\"\nparent = \"a\"".to_owned(),
            "`parent` must be another sort",
        ),
        (
            "schema = 1\n[framings.raw]\nheader_bytes = 1\nlength_at = 0\nlength_bytes = 1"
                .to_owned(),
            "built in",
        ),
        (
            "schema = 1\n[schemas.a]\ntype = \"object\"".to_owned(),
            "[schemas.a]: ",
        ),
        (rule("effect = \"maybe\""), "unknown variant `maybe`"),
        (
            rule("effect = \"read\"\nonce = true"),
            "p.toml:8: rule `x`: `once` needs effect",
        ),
        (
            rule("effect = \"read\"\nverbs = [\"create\"]"),
            "`verbs` needs effect",
        ),
        (write("verbs = [\"paint\"]"), "unknown variant `paint`"),
        (write("once = true"), "`once` needs `learn`"),
        (
            write("once = true\nlearn = { sort = \"thing\", id = \"/id\" }"),
            "`once` is for",
        ),
        (
            write("headers = { X-A = { pattern = \"a\" }, x-a = { pattern = \"b\" } }"),
            "there twice",
        ),
        (
            write("learn = { sort = \"none\", id = \"/id\" }"),
            "there is no [sorts.none]",
        ),
        (
            write("learn = { sort = \"thing\", id = \"/*/id\" }"),
            "must name one place",
        ),
        (
            write("learn = { sort = \"part\", id = \"/id\" }"),
            "owned = \"thing\"",
        ),
        (
            write("releases = \"thing\""),
            "`releases` needs a parameter",
        ),
        (write("action = \"forget\""), "needs `releases`"),
        (write("action = \"signal\""), "need each other"),
        (
            write("parameters = { id = { pattern = \"a\" } }"),
            "the path has no `{id}`",
        ),
        (
            write("query = { k = { pattern = \"a\", one_of = [] } }"),
            "query.k: say one of",
        ),
        (write("query = { k = {} }"), "query.k: say one of"),
        (
            write("query = { k = { pattern = \"(\" } }"),
            "query.k: `(` is no pattern",
        ),
        (
            write("query = { k = { owned = \"none\" } }"),
            "query.k: there is no [sorts.none]",
        ),
        (
            write("query = { k = { force = \"{nothing}\" } }"),
            "there is no fact `nothing`",
        ),
        (
            write("query = { k = { force = \"{node}\" } }"),
            "the fact `node` needs verbs = [\"create\"]",
        ),
        (
            write("query = { k = { force = \"{path.id}\" } }"),
            "the fact `path.id` needs",
        ),
        (
            rule("effect = \"read\"\nquery = { k = { force = \"{nonce}\" } }"),
            "the fact `nonce` needs effect",
        ),
        (
            write("query = { k = { force = \"a\", required = true } }"),
            "`required` is for what the plugin gives",
        ),
        (
            write("query = { k = { force = \"a\", send = false } }"),
            "`send` is for keys",
        ),
        (
            write("headers = { Host = { pattern = \"a\" } }"),
            "the host's own",
        ),
        (
            write("headers = { \"a b\" = { pattern = \"a\" } }"),
            "the host's own, or none",
        ),
        (
            write("headers = { Transfer-Encoding = { pattern = \"a\" } }"),
            "the host's own",
        ),
        (write("response = {}"), "needs `keep`"),
        (
            write("response = { body = \"none\", keep = [] }"),
            "`response.keep` is for",
        ),
        (
            write("response = { body = \"none\", status = [404] }"),
            "200 to 399",
        ),
        (write("body = {}"), "say `schema`, `force` or both"),
        (
            write("body = { schema = {} }"),
            "body.schema: /: say a `type`",
        ),
        (write("body = { schema = '{' }"), "no JSON"),
        (
            write("body = { schema = { type = \"object\" } }"),
            "additionalProperties = false",
        ),
        (
            write(&format!(
                "body = {{ schema = {object}, secrets = [\"/a\"] }}"
            )),
            "secrets needs verbs",
        ),
        (
            write("body = { force = [{ at = \"/a\", value = \"{workspace}\" }] }"),
            "needs verbs = [\"create\"]",
        ),
        (
            write("body = { force = [{ at = \"/a\", value = 1, key = \"k\" }] }"),
            "`key` needs `each`",
        ),
        (
            write("body = { force = [{ at = \"/a\", value = 1, each = \"ports\" }] }"),
            "`each` needs verbs",
        ),
        (
            write(
                "verbs = [\"create\"]\nbody = { force = [{ at = \"/a\", value = \"{port.host}\" }] }",
            ),
            "needs each = \"ports\"",
        ),
        (
            write("stream = { direction = \"both\", output = \"bytes\" }"),
            "needs `upgrade`",
        ),
        (
            write("stream = { direction = \"both\", upgrade = \"tcp\", output = \"lines\" }"),
            "needs output = \"bytes\"",
        ),
        (
            write("stream = { direction = \"out\", output = \"bytes\", times = \"rfc3339\" }"),
            "are for output",
        ),
        (
            write("stream = { direction = \"out\", output = \"lines\", framing = [\"none\"] }"),
            "no [framings.none]",
        ),
        (
            rule(
                "effect = \"read\"\nstream = { direction = \"out\", output = \"bytes\", keep = true }",
            ),
            "`stream.keep` needs",
        ),
        (
            write("stream = { direction = \"out\", output = \"bytes\", keep = true }"),
            "owned",
        ),
        (
            write(
                "stream = { direction = \"out\", output = \"lines\", times = \"rfc3339\", resume = { query = \"since\", format = \"unix\" } }",
            ),
            "the query has no key `since`",
        ),
        (
            write("stream = { direction = \"out\", output = \"lines\" }\njob = {}"),
            "a rule is for one of",
        ),
        (write("job = {}"), "a `job` needs `response`"),
        (
            write(
                "adopt = { sort = \"thing\", id = \"/id\", when = [{ at = \"/a\", equals = \"{host}\" }] }",
            ),
            "must look for `{nonce}`",
        ),
        (
            write(
                "parameters = { id = { owned = \"part\" } }\nquery = { s = { pattern = \"a\" } }\naction = \"signal\"\nsignal = { rule = \"none\", pid = \"/p\", holds = \"{parent}\", signal = \"s\" }",
            )
            .replace("\"/a\"", "\"/{id}\""),
            "signal.rule",
        ),
        (
            write(
                "query = { s = { pattern = \"a\" } }\naction = \"signal\"\nsignal = { rule = \"x\", pid = \"/p\", holds = \"all\", signal = \"s\" }",
            ),
            "must name what is owned",
        ),
        (
            write(
                "query = { s = { pattern = \"a\" } }\naction = \"signal\"\nsignal = { rule = \"x\", pid = \"/p\", holds = \"{query.s}\", signal = \"s\" }",
            ),
            "must name what is owned",
        ),
        (
            rule(
                "effect = \"write\"\nquery = { s = { pattern = \"a\" } }\naction = \"signal\"\nsignal = { rule = \"x\", pid = \"/p\", holds = \"{path.id}\", signal = \"s\" }\nparameters = { id = { pattern = \"a\" } }",
            )
            .replace("\"/a\"", "\"/{id}\""),
            "must name what is owned",
        ),
        (
            rule(
                "effect = \"write\"\nquery = { s = { pattern = \"a\" } }\naction = \"signal\"\nsignal = { rule = \"x\", pid = \"/p\", holds = \"{parent}\", signal = \"s\" }\nparameters = { id = { owned = \"thing\" } }",
            )
            .replace("\"/a\"", "\"/{id}\""),
            "must name what is owned",
        ),
        (
            format!(
                "{HEAD}[[rules]]\nname = \"X\"\nmethod = \"GET\"\npath = \"/a\"\neffect = \"read\""
            ),
            "a name has lower case",
        ),
        (
            format!(
                "{HEAD}[[rules]]\nname = \"x\"\nmethod = \"get\"\npath = \"/a\"\neffect = \"read\""
            ),
            "in capitals",
        ),
        (
            format!(
                "{HEAD}[[rules]]\nname = \"x\"\nmethod = \"GET\"\npath = \"/{{id}}\"\neffect = \"read\""
            ),
            "say what it may be",
        ),
        (
            format!(
                "{}{}",
                rule("effect = \"read\""),
                &rule("effect = \"read\"")[HEAD.len()..]
            ),
            "another rule has this name",
        ),
    ] {
        let error = Policy::parse("p.toml", &text).map(drop).unwrap_err();
        assert!(
            error.starts_with("p.toml") && error.contains(want),
            "{error}\nwanted {want}\nof {text}"
        );
    }
}

#[test]
fn what_rules_share_is_found() {
    let text = format!(
        "{HEAD}[parameters.v]\npattern = 'v[12]'\n[schemas.words]\ntype = \"array\"\nmaxItems = 3\nitems = {{ type = \"string\", maxLength = 9 }}\n\
        [[rules]]\nname = \"x\"\nmethod = \"POST\"\npath = \"/{{v}}/a\"\neffect = \"write\"\n\
        [rules.body]\nschema = {{ type = \"object\", additionalProperties = false, properties = {{ w = {{ \"$ref\" = \"#/schemas/words\" }} }} }}\n"
    );
    let policy = Policy::parse("p.toml", &text).unwrap();
    let body = policy.rules[0].body.as_ref().unwrap();
    let schema = body.schema.as_ref().unwrap();
    assert!(schema.is_valid(&serde_json::json!({"w": ["a"]})));
    assert!(!schema.is_valid(&serde_json::json!({"w": [1]})));
    assert!(!schema.is_valid(&serde_json::json!({"w": ["a", "b", "c", "d"]})));
}
