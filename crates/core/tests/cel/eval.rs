//! What expressions evaluate to, and how they fail.

use std::cell::RefCell;

use serde_json::{Value as Json, json};
use surefoot_core::expr::{Budget, EvalError, EvalErrorKind as Kind, Expr, Lookup, Object, Scope};

use super::data;

fn eval(source: &str) -> Result<Json, EvalError> {
    Expr::parse(source).unwrap().eval(&data(), &Budget::default())
}

fn check(cases: &[(&str, Json)]) {
    for (source, expected) in cases {
        assert_eq!(eval(source).as_ref(), Ok(expected), "{source}");
    }
}

/// Each case: the source, the kind of error, and the part of the source that it points at.
fn check_errors(cases: &[(&str, Kind, &str)]) {
    for (source, kind, part) in cases {
        let error = eval(source).expect_err(source);
        assert_eq!((error.kind, &source[error.span.clone()]), (*kind, *part), "{source}: {error}");
    }
}

#[test]
fn data_is_read_in_place() {
    check(&[
        ("input.order.total > 100.0 && input.order.paid", json!(true)),
        ("input.items[index].sku", json!("y")),
        ("input['order']['id']", json!("A-7")),
        ("input.`with space`", json!(1)),
        ("input.items", data()["input"]["items"].clone()),
        ("input.huge == 18446744073709551615u", json!(true)),
        ("type(input.count) == int && type(input.rate) == double", json!(true)),
        ("has(input.order.note) && !has(input.order.nope)", json!(true)),
        ("'order' in input && 'new' in input.order.tags", json!(true)),
        ("input.items.map(it, it.n * it.price)", json!([3.0, 4])),
        ("input.items.filter(it, it.price > 2).map(it, it.sku)", json!(["y"])),
        ("input.items.map(it, it.n > 1, it.sku)", json!(["x"])),
        ("input.order.map(key, key).size()", json!(5)),
        ("{'a': input.count, 'b': [input.rate]}", json!({"a": 3, "b": [0.5]})),
    ]);
}

#[test]
fn numbers_from_data_mix() {
    check(&[
        ("input.count + input.rate", json!(3.5)),
        ("input.count * 2", json!(6)),
        ("7 / 2", json!(3)),
        ("7 / 2.0", json!(3.5)),
        ("input.items[input.whole - 1].n", json!(1)),
        ("-input.count % 2", json!(-1)),
        ("input.whole == 2 && 2 == input.whole", json!(true)),
    ]);
    check_errors(&[
        ("1 + 1u", Kind::NoSuchOverload, "1 + 1u"),
        ("input.whole % 2", Kind::NoSuchOverload, "input.whole % 2"),
    ]);
}

#[test]
fn functions_work() {
    check(&[
        ("'Straße'.size() + size([1]) + size({'a': 1})", json!(8)),
        ("'ABC'.lowerAscii() + 'abc'.upperAscii() + ' x '.trim()", json!("abcABCx")),
        ("'a,b,,c'.split(',')", json!(["a", "b", "", "c"])),
        ("'äb'.split('')", json!(["ä", "b"])),
        ("input.order.tags.join('+') + ['a', 'b'].join()", json!("new+b2bab")),
        ("'banana'.replace('an', 'o')", json!("booa")),
        ("input.text.substring(10) + input.text.substring(0, 5)", json!("KölnGrüße")),
        ("[input.text.indexOf('aus'), 'x'.indexOf('y'), [4, 5].indexOf(5.0)]", json!([6, -1, 1])),
        ("'2027-01-02'.matches('^[0-9-]+$')", json!(true)),
        ("[min(3, 1.5, 2), max([1, 4, 2]), abs(-3), abs(-0.5)]", json!([1.5, 4, 3, 0.5])),
        (
            "[round(2.5), round(-2.5), floor(-0.5), ceil(0.2), round(7)]",
            json!([3.0, -3.0, -1.0, 1.0, 7]),
        ),
        ("[[].sum(), [1, 2].sum(), [1, 0.5].sum()]", json!([0, 3, 1.5])),
        ("[3, 1, 2].sort() + ['b', 'a'].sort()", json!([1, 2, 3, "a", "b"])),
        (
            "[1, 1.0, 1u, 'a', 'a', [1], [1.0], {'k': 0}, {'k': -0.0}].distinct()",
            json!([1, "a", [1], {"k": 0}]),
        ),
        ("[[1, 2], 3, [[4]]].flatten()", json!([1, 2, 3, [4]])),
        ("[[7, 8].first(), [7, 8].last()]", json!([7, 8])),
        ("{'b': 1, 'a': 2}.keys() + {'b': 1, 'a': 2}.values()", json!(["a", "b", 2, 1])),
        ("{'a': 1, 'b': 1}.merge({'b': 2, 'c': 2})", json!({"a": 1, "b": 2, "c": 2})),
        ("json('{\"a\": [1, 2.5, null]}')", json!({"a": [1, 2.5, null]})),
        ("toJson({'b': 1, 'a': [true]}) + [1].toJson()", json!("{\"a\":[true],\"b\":1}[1]")),
        ("base64encode('héllo') + string(base64decode('aGk='))", json!("aMOpbGxvhi")),
        ("hash({'b': 1, 'a': 2}) == hash({'a': 2, 'b': 1}) && hash(1).size() == 64", json!(true)),
        (
            "[string(1e300), string(1e-7), string(1.0), string(-0.5), string(true)]",
            json!(["1e300", "1e-7", "1", "-0.5", "true"]),
        ),
    ]);
}

#[test]
fn time_has_zones_but_no_clock() {
    check(&[
        ("timestamp(input.at) + duration('36h')", json!("2027-03-02T20:30:00Z")),
        ("timestamp(input.at).getHours('Europe/Berlin')", json!(9)),
        ("timestamp('2027-07-01T22:30:00Z').getDate('Europe/Berlin')", json!(2)),
        ("timestamp('2027-03-07T00:00:00Z').getDayOfWeek()", json!(0)),
        ("timestamp('2027-12-31T00:00:00Z').getDayOfYear()", json!(364)),
        ("timestamp('2027-01-01T00:00:00.25Z').getMilliseconds()", json!(250)),
        ("timestamp('2027-01-02T00:00:00Z') - timestamp('2027-01-01T00:00:00Z')", json!("86400s")),
        (
            "[duration('1h30m'), duration('-1.5s'), duration('2d'), duration('250ms'), duration('0')]",
            json!(["5400s", "-1.5s", "172800s", "0.25s", "0s"]),
        ),
        (
            "[duration('90m').getHours(), duration('90m').getMinutes(), duration('1.5s').getMilliseconds()]",
            json!([1, 90, 1500]),
        ),
        ("timestamp(0)", json!("1970-01-01T00:00:00Z")),
        ("timestamp(input.at) < timestamp('2027-03-01T09:31:00+01:00')", json!(true)),
    ]);
    check_errors(&[
        ("duration('5 apples')", Kind::InvalidArgument, "duration('5 apples')"),
        (
            "timestamp(input.at).getHours('Mars/Base')",
            Kind::InvalidArgument,
            "timestamp(input.at).getHours('Mars/Base')",
        ),
        (
            "timestamp('9999-12-30T00:00:00Z') + duration('100d')",
            Kind::Overflow,
            "timestamp('9999-12-30T00:00:00Z') + duration('100d')",
        ),
        ("now()", Kind::UnknownFunction, "now()"),
    ]);
}

#[test]
fn default_stands_in_for_what_is_absent() {
    check(&[
        ("default(input.order.nope, 'x')", json!("x")),
        ("default(input.nope.deeper.still, 1)", json!(1)),
        ("default(input.none, 1)", json!(1)),
        ("default(input.none.below, 1)", json!(1)),
        ("default(input.none['below'], 1)", json!(1)),
        ("default(input.empty[0], 1)", json!(1)),
        ("default(input.empty.first(), 1)", json!(1)),
        ("default(input.count, 1)", json!(3)),
        ("default(false, true)", json!(false)),
    ]);
    check_errors(&[
        ("default(1 / 0, 1)", Kind::DivisionByZero, "1 / 0"),
        ("default(nope, 1)", Kind::UnknownName, "nope"),
        ("default(input.count.deeper, 1)", Kind::NoSuchOverload, "input.count.deeper"),
    ]);
}

#[test]
fn errors_point_at_what_failed() {
    check_errors(&[
        ("input.order.nope == 1", Kind::NoSuchField, "input.order.nope"),
        ("1 + input.none.x", Kind::NoSuchField, "input.none.x"),
        ("input.items[-1]", Kind::IndexOutOfRange, "input.items[-1]"),
        ("input.items[2].n", Kind::IndexOutOfRange, "input.items[2]"),
        ("[1][0.5]", Kind::NoSuchOverload, "[1][0.5]"),
        ("4 / (input.count - 3)", Kind::DivisionByZero, "4 / (input.count - 3)"),
        ("4 % 0", Kind::DivisionByZero, "4 % 0"),
        ("9223372036854775807 + 1", Kind::Overflow, "9223372036854775807 + 1"),
        ("nope", Kind::UnknownName, "nope"),
        ("nope.x && true", Kind::UnknownName, "nope"),
        ("nope(1)", Kind::UnknownFunction, "nope(1)"),
        ("'a'.size(1)", Kind::NoSuchOverload, "'a'.size(1)"),
        ("'a' < 1", Kind::NoSuchOverload, "'a' < 1"),
        ("input.count ? 1 : 2", Kind::NoSuchOverload, "input.count"),
        ("[1].exists(x, x)", Kind::NoSuchOverload, "x"),
        ("{'a': 1, 'a': 2}", Kind::RepeatedKey, "{'a': 1, 'a': 2}"),
        ("1.0 / 0.0", Kind::NoJsonForm, "1.0 / 0.0"),
        ("'x'.matches('(')", Kind::InvalidArgument, "'x'.matches('(')"),
        ("int('x')", Kind::InvalidArgument, "int('x')"),
        ("json('{')", Kind::InvalidArgument, "json('{')"),
        ("[1, 'a'].sort()", Kind::InvalidArgument, "[1, 'a'].sort()"),
    ]);
}

#[test]
fn a_missing_field_is_an_error_and_not_false() {
    assert_eq!(eval("input.nope").unwrap_err().kind, Kind::NoSuchField);
    // The other operand may settle the matter, on either side.
    check(&[
        ("input.nope || true", json!(true)),
        ("true || input.nope", json!(true)),
        ("input.nope && false", json!(false)),
        ("[0, 1].exists(x, 1 / x == 1)", json!(true)),
    ]);
}

#[test]
fn conditions_are_booleans() {
    let condition =
        |source: &str| Expr::parse(source).unwrap().eval_bool(&data(), &Budget::default());
    assert_eq!(condition("input.count == 3"), Ok(true));
    let error = condition(" input.count ").unwrap_err();
    assert_eq!((error.kind, error.span), (Kind::NotBoolean, 1..12));
    assert_eq!(error.message, "a condition must be true or false, this is int");
}

#[test]
fn macro_variables_hide_names_and_end() {
    check(&[
        ("[1].map(input, input + 1)", json!([2])),
        ("[1].map(input, .input.count)", json!([3])),
        ("[[1, 2], [3]].map(x, x.map(x, x * 10))", json!([[10, 20], [30]])),
        ("[1].exists(index, index == 1) && index == 1", json!(true)),
    ]);
    check_errors(&[("[1].exists(x, true) && x == 1", Kind::UnknownName, "x")]);
}

/// A scope that resolves `tasks.<id>.output` when asked, and remembers what was asked.
struct Run {
    output: Json,
    asked: RefCell<Vec<String>>,
}

#[derive(Clone, Copy)]
struct Tasks<'a>(&'a Run);

struct Task<'a>(&'a Run);

impl Scope for Run {
    fn lookup(&self, name: &str) -> Option<Lookup<'_>> {
        (name == "tasks").then(|| Lookup::object(Tasks(self)))
    }
}

impl<'a> Object<'a> for Tasks<'a> {
    fn field(&self, name: &str) -> Option<Lookup<'a>> {
        self.0.asked.borrow_mut().push(name.to_owned());
        (name == "pay").then(|| Lookup::object(Task(self.0)))
    }

    fn to_json(&self) -> Json {
        json!({"pay": Task(self.0).to_json()})
    }
}

impl<'a> Object<'a> for Task<'a> {
    fn field(&self, name: &str) -> Option<Lookup<'a>> {
        match name {
            "output" => Some(Lookup::Value(&self.0.output)),
            "status" => Some(Lookup::Owned(json!("completed"))),
            _ => None,
        }
    }

    fn to_json(&self) -> Json {
        json!({"output": self.0.output, "status": "completed"})
    }
}

#[test]
fn objects_are_resolved_as_far_as_asked() {
    let run = Run { output: json!({"json": {"id": "ch_1"}}), asked: RefCell::default() };
    let eval = |source: &str| Expr::parse(source).unwrap().eval(&run, &Budget::default());
    for (source, expected) in [
        ("tasks.pay.output.json.id", json!("ch_1")),
        ("tasks['pay'].status", json!("completed")),
        ("has(tasks.ship) || 'ship' in tasks", json!(false)),
        ("default(tasks.ship.output, 0)", json!(0)),
        ("tasks.map(id, tasks[id].status)", json!(["completed"])),
        ("tasks == {'pay': tasks.pay}", json!(true)),
        ("size(tasks)", json!(1)),
        ("tasks.pay", json!({"output": {"json": {"id": "ch_1"}}, "status": "completed"})),
    ] {
        assert_eq!(eval(source).as_ref(), Ok(&expected), "{source}");
    }
    run.asked.borrow_mut().clear();
    eval("tasks.pay.output.json.id == 'ch_1'").unwrap();
    assert_eq!(*run.asked.borrow(), ["pay"]);
}
