//! The meaning of a node's keys, in both syntaxes.

use super::*;
use crate::signals::{MAX_SIGNALS, SignalType, Signals};

fn read(file: &str, text: &str, node: &str) -> Result<NodeConfig, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(file);
    std::fs::write(&path, text).unwrap();
    load(&path, node).map_err(|error| {
        // Independent of the test's directory.
        error.to_string().replace(&format!("{}/", directory.path().display()), "")
    })
}

fn node(keys: &str) -> Result<NodeConfig, String> {
    read("a.conf", &format!("nodes = {{ n = {{ type = \"shmem\"; name = \"r\"\n{keys}\n}} }}"), "n")
}

#[track_caller]
fn refused(keys: &str, message: &str) {
    let error = node(keys).unwrap_err();
    assert!(error.contains(message), "{keys}: {error}");
}

#[test]
fn a_node_with_nothing_but_a_name_has_the_defaults() {
    let config = node("").unwrap();
    assert_eq!(config.layout, Layout::OneRegion("r".into()));
    assert_eq!((config.queuelen, config.samplelen, config.history), (512, 64, 64));
    assert_eq!(node("history = 0").unwrap().history, 0);
    assert_eq!((config.polling, &config.exec), (false, &None));
    assert_eq!((config.input.vectorize, config.output.vectorize), (1, 1));
    assert_eq!(config.input.signals, Signals::default());
}

#[test]
fn the_form_of_2017_loads() {
    let config = node("queuelen = 32, samplelen = 4, polling = true, exec = ( \"villas-shmem\", \"r\" )").unwrap();
    assert_eq!((config.queuelen, config.samplelen, config.polling), (32, 4, true));
    assert_eq!(config.exec.unwrap(), ["villas-shmem", "r"]);
}

#[test]
fn json_says_the_same_as_libconfig() {
    let json = r#"{
        "paths": [ { "in": "a", "out": [ null, 1.5e300, true ] } ],
        "nodes": { "n": {
            "type": "shmem", "name": "r", "queuelen": 1024, "mode": "polling", "vectorize": 5,
            "exec": [ "villas-shmem", "r" ], "in": { "signals": [ { "name": "u", "unit": "V", "type": "integer" } ] }
        } }
    }"#;
    let conf = "queuelen = 1024; mode = \"polling\"; vectorize = 5; exec = [ \"villas-shmem\", \"r\" ];
        in = { signals = ( { name = \"u\", unit = \"V\", type = \"integer\", init = 3 } ) }";
    assert_eq!(read("a.json", json, "n"), node(conf));
    assert_eq!(read("a.conf", json, "n"), node(conf), "JSON is known by its brace");
}

#[test]
fn a_carriage_return_alone_ends_no_line_in_either_syntax() {
    for (file, text) in [("a.json", "{ \"a\": 1,\r\r\n\r x }"), ("a.conf", "a = 1;\r\r\n\r x }")] {
        let error = read(file, text, "n").unwrap_err();
        assert!(error.starts_with(&format!("{file}:2: ")), "{error}");
    }
}

#[test]
fn as_many_signals_as_a_sample_has_room_for_are_read_from_json() {
    let signal = |at| format!("{{ \"name\": \"u{at}\", \"unit\": \"V\",\n \"type\": \"integer\" }}");
    let signals = (0..MAX_SIGNALS).map(signal).collect::<Vec<_>>().join(",\n");
    let json = format!("{{ \"nodes\": {{ \"n\": {{ \"type\": \"shmem\", \"name\": \"r\", \"signals\": [ {signals} ] }} }} }}");
    let begin = std::time::Instant::now();
    assert_eq!(read("a.json", &json, "n").unwrap().samplelen, 65_536);
    // A generous bound: counting lines from the top for each value would take a minute.
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

#[test]
fn signals_are_given_as_a_list_a_count_or_types() {
    let config = node("in = { signals = { count = 8, type = \"complex\" } }; out = { signals = \"2f3i\" }").unwrap();
    assert_eq!((config.input.signals.len(), config.output.signals.len(), config.samplelen), (8, 5, 8));
    assert_eq!(config.input.signals.kind(7), SignalType::Complex);
    assert_eq!(config.output.signals.kind(2), SignalType::Integer);
    let config = node("signals = \"3i\"; in = { signals = \"2b\" }; samplelen = 7").unwrap();
    assert_eq!((config.input.signals.len(), config.output.signals.len(), config.samplelen), (2, 3, 7));

    refused("in = { signals = { type = \"float\" } }", "no \"count\"");
    refused("in = { signals = { count = 70000 } }", "from 1 to 65536");
    refused("in = { signals = ( { name = \"a\", typ = \"float\" } ) }", "a.conf:2: unknown key \"typ\" in \"signals\"");
    refused("in = { signals = ( { type = \"double\" } ) }", "\"double\" is not a signal type");
    refused("in = { signals = ( 5 ) }", "a signal must be a group");
    refused("in = { signals = 5 }", "must be a list of signals");
    refused("in = { signals = \"64x\" }", "\"64x\"");
}

#[test]
fn vectorize_lengthens_the_queue() {
    assert_eq!(node("vectorize = 1000").unwrap().queuelen, 1000);
    assert_eq!(node("out = { vectorize = 600 }").unwrap().queuelen, 600);
    assert_eq!(node("vectorize = 1000; queuelen = 7").unwrap().queuelen, 7);
    let config = node("vectorize = 5; in = { vectorize = 3 }").unwrap();
    assert_eq!((config.input.vectorize, config.output.vectorize), (3, 5));
}

#[test]
fn what_is_out_of_range_is_refused() {
    refused("queuelen = 0", "a.conf:2: \"queuelen\" is 0, but must be from 1 to 1048576");
    refused("queuelen = 1048577", "from 1 to 1048576");
    refused("history = -1", "a.conf:2: \"history\" is -1, but must be from 0 to 1048576");
    refused("samplelen = 65537", "from 1 to 65536");
    refused("samplelen = -1", "from 1 to 65536");
    refused("vectorize = 0", "from 1");
    refused("queuelen = \"many\"", "\"queuelen\" must be an integer, not a string");
    refused("queuelen = 5.0", "must be an integer, not a float");
    refused("mode = \"fast\"", "\"pthread\" or \"polling\"");
    refused("polling = 2", "true or false");
    refused("mode = \"pthread\"\npolling = true", "a.conf:3: \"polling\" contradicts \"mode\" at a.conf:2");
    refused("exec = \"villas-shmem r\"", "a list of strings, not a string");
    refused("exec = [ 1 ]", "a list of strings");
    refused("exec = []", "names no program");
    refused("exec = [ \"\" ]", "empty name");
    refused("in = 5", "\"in\" must be a group, not an integer");
}

#[test]
fn signals_that_are_counted_have_names_units_and_all_keys_of_the_schema() {
    let keys = "in = { signals = { count = 3, name = \"u_\", unit = \"V\", type = \"float\", init = 0.0, enabled = true } }
        out = { signals = ( { name = \"tap\", type = \"integer\", init = 0, enabled = false } ) }";
    let config = node(keys).unwrap();
    let titles = (0..4).map(|index| config.input.signals.title(index).into_owned()).collect::<Vec<_>>();
    assert_eq!(titles, ["u_0[V]", "u_1[V]", "u_2[V]", "signal3"]);
    assert_eq!(config.output.signals.title(0), "tap");
    assert_eq!(node("signals = { count = 2 }").unwrap().input.signals.title(1), "signal1");
    refused("in = { signals = { count = 2, nmae = \"u\" } }", "unknown key \"nmae\" in \"signals\"; did you mean \"name\"?");
    refused("in = { signals = ( { count = 2 } ) }", "unknown key \"count\" in \"signals\"; it may be one of name, unit, type");
    refused("in = { signals = ( { enabled = \"no\" } ) }", "must be true or false");
}

#[test]
fn signals_that_a_region_cannot_name_are_refused_with_their_place() {
    let list = |signals: &str| format!("in = {{ signals = (\n{signals}\n) }}");
    for (signals, message) in [
        (
            "{ name = \"u\" },\n{ name = \"i\" },\n{ name = \"u\" }",
            "a.conf:5: signals 0 and 2 of \"in.signals\" have one name, \"u\"",
        ),
        ("{ name = \"signal1\" },\n{ unit = \"V\" }", "a.conf:4: signals 0 and 1 of \"in.signals\" have one name, \"signal1\""),
        ("{ name = \"u\tv\" }", "a.conf:3: \"name\" must not contain tabs, line ends or other control characters"),
        ("{ unit = \"\x1b[2J\" }", "a.conf:3: \"unit\" must not contain"),
        ("{ unit = \"LONG\" }", "a.conf:3: \"unit\" has 64 bytes, but must have at most 63"),
        ("{ name = \"LONGLONGLONGLONG\" }", "a.conf:3: \"name\" has 256 bytes, but must have at most 255"),
    ] {
        refused(&list(signals).replace("LONG", &"é".repeat(32)), message);
    }
    refused(&format!("signals = {{ count = 11, name = \"{}\" }}", "n".repeat(254)), "a.conf:2: \"name\" has 256 bytes");
    assert!(node(&format!("signals = {{ count = 10, name = \"{}\" }}", "n".repeat(254))).is_ok());
    // A name may stand in both directions, and an empty one is none.
    assert!(node("signals = ( { name = \"u\" } )").is_ok());
    assert_eq!(node(&list("{ name = \"\", unit = \"\" }")).unwrap().input.signals, "f".parse().unwrap());
}

#[test]
fn more_signals_than_values_of_a_sample_are_refused() {
    refused("in = { signals = \"3f\" }\nsamplelen = 2", "a.conf:3: \"samplelen\" is 2, but there are 3 signals");
    assert_eq!(node("signals = \"3f\"; samplelen = 3").unwrap().samplelen, 3);
}

/// All keys of VILLASnode's schema for a node of this type, its directions and its signals.
#[test]
fn keys_without_effect_make_one_warning() {
    let of = |keys: &str| {
        let text = format!("nodes = {{ n = {{ type = \"shmem\"; name = \"r\"\n{keys}\n}} }}");
        let path = Path::new("a.conf");
        let Data::Group(settings) = parse(path, "a.conf", text.as_bytes(), &Origin::of(path)).unwrap().data else { panic!() };
        NodeConfig::from_setting(&settings[0].group().unwrap()[0]).unwrap().1
    };
    assert_eq!(of("vectorize = 2; in = { signals = ( { name = \"u\" } ) }"), None);
    assert!(of("enabled = true; in = { signals = ( { enabled = true } ) }").unwrap().ends_with(": enabled, in.signals.enabled"));
    let all = "enabled = false; builtin = true\nhooks = (); affinity = 1; uuid = \"x\"; initial_sequenceno = 5
        in = { enabled = false, builtin = true, hooks = (), signals = ( { init = 1 }, { init = 2 }, { enabled = false } ) }
        out = { enabled = false, builtin = true, hooks = (), netem = { delay = 5 }, fwmark = 1, signals = { count = 2, init = 1 } }";
    assert_eq!(
        of(all).unwrap(),
        "a.conf:2: ignored in node \"n\", since they mean nothing here: enabled = false, builtin, hooks, affinity, uuid, \
         initial_sequenceno, in.enabled = false, in.builtin, in.hooks, in.signals.init, in.signals.enabled = false, \
         out.enabled = false, out.builtin, out.hooks, out.netem, out.fwmark, out.signals.init"
    );
}

#[test]
fn a_byte_order_mark_is_skipped_and_utf_16_is_named() {
    let conf = "nodes = { n = { type = \"shmem\"; name = \"r\" } }";
    let json = "{ \"nodes\": { \"n\": { \"type\": \"shmem\", \"name\": \"r\" } } }";
    for (file, text) in [("a.conf", conf), ("a.json", json), ("json.conf", json)] {
        assert_eq!(read(file, &format!("\u{feff}{text}"), "n"), node(""), "{file}");
        let path = tempfile::tempdir().unwrap().path().join(file);
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let text: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
            let error = load_text(&path, &text, "n").unwrap_err().to_string();
            assert!(error.contains(file) && error.contains("UTF-16"), "{error}");
        }
    }
}

#[test]
fn unknown_keys_name_key_file_and_line() {
    refused("\n\nquelen = 5", "a.conf:4: unknown key \"quelen\" in node \"n\"; did you mean \"queuelen\"?");
    refused("\nlocation = 5", "a.conf:3: unknown key \"location\" in node \"n\"; it may be one of type, name, queuelen");
    refused("in = {\n nmae = \"x\" }", "a.conf:3: unknown key \"in.nmae\" in node \"n\"");
    let json = "{ \"nodes\": { \"n\": {\n \"type\": \"shmem\",\n \"nmae\": 1 } } }";
    assert!(read("a.json", json, "n").unwrap_err().contains("a.json:3: unknown key \"nmae\""));
}

#[test]
fn what_villasnode_knows_beyond_is_accepted() {
    let keys = "enabled = true; builtin = false; hooks = ( { type = \"print\" } ); uuid = \"x\"
        in = { hooks = (); enabled = true }; out = { netem = { delay = 5 } }";
    assert_eq!(node(keys), node(""));
}

#[test]
fn one_region_has_a_name_and_two_have_one_each() {
    let two = |keys: &str| read("a.conf", &format!("nodes = {{ n = {{ type = \"shmem\"\n{keys}\n}} }}"), "n");
    let config = two("in = { name = \"a\" }, out = { name = \"b\" }").unwrap();
    assert_eq!(config.layout, Layout::TwoRegions { input: "a".into(), output: "b".into() });
    let config = two("in = { name = \"a\" }, out = { name = \"a\" }").unwrap();
    assert_eq!(config.layout, Layout::TwoRegions { input: "a".into(), output: "a".into() }, "VILLASnode's loopback");

    assert!(two("\nin = { name = \"a\" }").unwrap_err().contains("a.conf:3: node \"n\" has an \"in.name\", but no \"out.name\""));
    assert!(two("out = { name = \"a\" }").unwrap_err().contains("an \"out.name\", but no \"in.name\""));
    refused("in = {\n name = \"x\" }", "a.conf:1: node \"n\" has a \"name\" for one region and another in");
}

#[test]
fn the_other_end_has_the_directions_swapped() {
    let text = "nodes = { n = { type = \"shmem\"
        in = { name = \"a\", signals = \"2i\", vectorize = 3 }, out = { name = \"b\", signals = \"4f\" } } }";
    let mut config = read("a.conf", text, "n").unwrap();
    config.swap();
    assert_eq!(config.layout, Layout::TwoRegions { input: "b".into(), output: "a".into() });
    assert_eq!((config.input.signals.len(), config.output.signals.len(), config.output.vectorize), (4, 2, 3));
}

/// A node's keys in the forms of VILLASnode's own files, old and new.
#[test]
fn configurations_that_were_written_for_villasnode_load() {
    let example = "# a comment\nnodes = {\n    shmem_node = {\n        type = \"shmem\",\n
        in = {\n            name = \"sn1_in\"\n        },\t\t# receiving\n
        out = {\n            name = \"sn1_in\"\t# sending\n        },\n
        queuelen = 1024,\n        mode = \"pthread\",\n
        exec = [ \"villas-shmem\", \"sn1_in\", \"sn1_out\" ]\n    }\n}\n";
    let with_semicolons = example.replace(",\n", ";\n");
    let without = example.replace(",\n", "\n");
    for text in [example, &with_semicolons, &without] {
        let config = read("a.conf", text, "shmem_node").unwrap();
        assert_eq!(config.layout, Layout::TwoRegions { input: "sn1_in".into(), output: "sn1_in".into() });
        assert_eq!((config.queuelen, config.samplelen, config.polling), (1024, 64, false));
        assert_eq!(config.exec.unwrap(), ["villas-shmem", "sn1_in", "sn1_out"]);
    }
    let loopback = r#"{ "nodes": { "node1": { "type": "shmem",
        "out": { "name": "/villas-test" }, "in": { "name": "/villas-test" },
        "queuelen": 1024, "mode": "polling", "vectorize": 5 } } }"#;
    let config = read("config.json", loopback, "node1").unwrap();
    assert_eq!(config.layout, Layout::TwoRegions { input: "/villas-test".into(), output: "/villas-test".into() });
    assert_eq!((config.queuelen, config.polling, config.input.vectorize, config.output.vectorize), (1024, true, 5, 5));
    let flat = "nodes = {\n\tnode1 = {\n\t\ttype = \"shmem\";\n\t\tout_name = \"/villas-test\";\n\t\tin_name = \"/villas-test\";
        samplelen = 4;\n\t\tqueuelen = 32;\n\t\tpolling = true;\n\t\tvectorize = 20\n\t}\n}";
    let config = read("a.conf", flat, "node1").unwrap();
    assert_eq!(config.layout, Layout::TwoRegions { input: "/villas-test".into(), output: "/villas-test".into() });
    assert_eq!((config.queuelen, config.samplelen, config.polling), (32, 4, true));
    let of_2017 = "stats = 3.0; affinity = 1;
        nodes = { sn = { type = \"shmem\", name = \"/sn\", queuelen = 512, samplelen = 8, polling = false,
                         exec = [ \"villas-shmem\", \"/sn\" ], vectorize = 1, hooks = ( { type = \"print\" } ) },
                  other = { type = \"socket\", layer = \"udp\" } }
        paths = ( { in = \"sn\", out = \"sn\" } )";
    let config = read("a.conf", of_2017, "sn").unwrap();
    assert_eq!((config.layout, config.samplelen), (Layout::OneRegion("/sn".into()), 8));
}

#[test]
fn the_node_must_be_there_and_of_the_right_type() {
    let text = "nodes = {\n a = { type = \"socket\", local = \"*:12\" },\n b = { type = \"shmem\" },\n c = {}, d = 5 }";
    assert!(read("a.conf", text, "x").unwrap_err().contains("no node is called \"x\"; there are: b"));
    assert!(read("a.conf", text, "a").unwrap_err().contains("a.conf:2: node \"a\" is of type \"socket\""));
    assert!(read("a.conf", text, "b").unwrap_err().contains("a.conf:3: node \"b\" has no \"name\""));
    assert!(read("a.conf", text, "c").unwrap_err().contains("a.conf:4: node \"c\" has no \"type\""));
    assert!(read("a.conf", text, "d").unwrap_err().contains("\"d\" must be a group"));
    assert!(read("a.conf", "x = 1", "n").unwrap_err().contains("no \"nodes\""));
    assert!(load(Path::new("no/such.conf"), "n").unwrap_err().to_string().contains("No such file"));
}

#[test]
fn broken_json_names_the_line() {
    for (text, message) in [
        ("{\n \"nodes\": {\n}", "a.json:"),
        ("[]", "not a JSON object"),
        ("", "not a JSON object"),
        ("{ \"a\": 1, }", "a.json:1"),
        ("{ // x\n}", "a.json:1: not valid JSON: key must be a string (JSON has no comments"),
        ("{ \"a\":\n\"x\ny\" }", "a.json:2: not valid JSON: control character"),
        ("{ \"a\": [\n\n\"\\ud800\"] }", "a.json:3: not valid JSON: "),
        ("{ \"a\": 1 }\n2", "a.json:2: not valid JSON: trailing characters"),
        ("{ \"nodes\": 1,\n\"nodes\": 2 }", "a.json:2: \"nodes\" is set twice, first at a.json:1"),
    ] {
        let error = read("a.json", text, "n").unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
    let deep = |depth| format!("{{ \"a\": {}{} }}", "[".repeat(depth), "]".repeat(depth));
    assert!(read("a.json", &deep(99), "n").unwrap_err().contains("no \"nodes\""));
    for depth in [100, 100_000] {
        assert!(read("a.json", &deep(depth), "n").unwrap_err().contains("a.json:1: values are nested more than 100 deep"));
    }
}
