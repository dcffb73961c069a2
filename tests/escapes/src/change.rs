//! Changes to a body.

use serde_json::{Map, Value};

/// Puts `value` at a JSON pointer; what is missing on the way is made.
pub(crate) fn put(body: &mut Value, pointer: &str, value: Value) {
    let mut place = body;
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        place = match place {
            Value::Array(items) => {
                let index: usize = key.parse().expect("an index");
                items.get_mut(index).expect("a list that is as long")
            }
            other => {
                if !other.is_object() {
                    *other = Value::Object(Map::new());
                }
                let members = other.as_object_mut().expect("it was made one");
                members.entry(key).or_insert(Value::Null)
            }
        };
    }
    *place = value;
}

/// Objects in objects.
pub(crate) fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::from("x"), |inner, _| {
        let mut object = Map::new();
        object.insert("a".to_owned(), inner);
        Value::Object(object)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_put_where_the_pointer_says() {
        let mut body = json!({"a": [{"b": 1}], "c": {}});
        put(&mut body, "/a/0/b", json!(2));
        put(&mut body, "/c/d/e", json!("x"));
        put(&mut body, "/f~1g", json!(null));
        assert_eq!(
            body,
            json!({"a": [{"b": 2}], "c": {"d": {"e": "x"}}, "f/g": null})
        );
        assert_eq!(nested(2), json!({"a": {"a": "x"}}));
    }
}
