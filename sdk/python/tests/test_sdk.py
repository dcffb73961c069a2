"""The SDK without a component: `python3 -m unittest discover -s tests -t .` in this folder."""

import unittest
from dataclasses import dataclass

from componentize_py_types import Err
from fleet_sdk import configs, errors, handles, pages, testing
from wit_world import imports
from wit_world.exports import driver
from wit_world.imports import process
from wit_world.imports.types import ErrorKind, Handle, Page


@dataclass
class State:
    process: str
    depth: int = 0


def raised(work):
    try:
        work()
    except Err as error:
        return error.value
    raise AssertionError("nothing was raised")


def prepared():
    request = process.Request("dev", testing.workload().id, ["true"], [], [])
    return process.prepare(testing.op("create"), request).ref


class Fakes(unittest.TestCase):
    def test_an_op_has_its_effect_once_also_where_it_is_the_same_object(self):
        with testing.Host() as host:
            ref = prepared()
            process.start(testing.op("start"), ref)
            stop = testing.op("stop")
            for op in (stop, stop, testing.op("stop"), testing.op("other")):
                process.signal(op, ref, op.verb)
            process.send(stop, ref, b"late")
            self.assertEqual(host.processes.signals, [(ref, "stop"), (ref, "other")])
            self.assertEqual(host.processes.commands, [])

    def test_a_program_beside_another_runs(self):
        request = process.ExecRequest(["id"], [], None, [])
        op = testing.op("exec", call="a")
        with testing.Host() as host:
            ref = prepared()
            self.assertEqual(raised(lambda: process.exec(op, ref, request)).code, "not-running")
            process.start(testing.op("start"), ref)
            exec_ = process.exec(op, ref, request)
            self.assertEqual(process.exec(op, ref, request), exec_)
            self.assertEqual(process.inspect_exec(exec_), process.ExecState_Running())
            process.resize_exec(exec_, process.Size(80, 24))
            process.signal_exec(testing.op("one"), exec_, "INT")
            process.signal_exec(testing.op("one"), exec_, "INT")
            process.remove_exec(testing.op("remove"), exec_)
            self.assertEqual(host.processes.signals, [(exec_, "INT")])

    def test_a_row_of_a_table_has_a_host_of_its_own(self):
        hosts = []

        class Counts:
            def create(self, op, workload):
                hosts[-1].endpoints.asked.append(("GET", "/", None))
                return driver.Creation_Ready(driver.Created(Handle(1, b""), None))

            def inspect(self, handle):
                asked = len(hosts[-1].endpoints.asked)
                exit_ = driver.Exit(asked + hosts[-1].settings["depth"], None, None)
                return driver.Observation(driver.RunState_Exited(exit_), None, [])

        def before(host):
            host.settings = {"depth": 3}
            hosts.append(host)

        rows = [("one", {}, "create", "exited 5"), ("two", {}, "create", "exited 5")]
        testing.table(Counts(), rows, before)
        self.assertEqual(len(hosts), 2)


class Values(unittest.TestCase):
    def test_state_reads_back(self):
        handle = handles.write(3, State("a"))
        self.assertEqual(handle.opaque, b'{"process":"a","depth":0}')
        self.assertEqual(handles.read(handle, 3, State), State("a"))

    def test_another_format_garbage_and_too_much_are_told_apart(self):
        for handle, kind, code in [
            (Handle(2, b"{}"), ErrorKind.UNSUPPORTED, "handle-schema"),
            (Handle(1, b"\xff\x00garbage"), ErrorKind.INTERNAL, "handle-unreadable"),
            (Handle(1, b"7"), ErrorKind.INTERNAL, "handle-unreadable"),
            (Handle(1, b"{}"), ErrorKind.INTERNAL, "handle-unreadable"),
        ]:
            error = raised(lambda: handles.read(handle, 1, State))
            self.assertEqual((error.kind, error.code), (kind, code))
        large = raised(lambda: handles.write(1, State("x" * handles.MAX_BYTES)))
        self.assertEqual(large.code, "handle-too-large")

    def test_the_format_to_write_is_what_a_test_sets(self):
        with testing.Host() as host:
            self.assertIsNone(imports.handles.write_schema())
            host.write_schema = 2
            self.assertEqual(imports.handles.write_schema(), 2)

    def test_a_config_has_defaults_and_no_unknown_keys(self):
        self.assertEqual(configs.read('{"process": "a"}', State), State("a"))
        for text, want in [
            ('{"process": "a", "deep": 1}', "no key `deep`"),
            ("{}", "`process` is missing"),
            ("[]", "no object"),
        ]:
            error = raised(lambda: configs.read(text, State))
            self.assertEqual((error.kind, error.code), (ErrorKind.INVALID, "config"))
            self.assertIn(want, error.message)

    def test_pages_follow_each_other(self):
        entries, seen, cursor = list("dbaec"), [], None
        while True:
            part, cursor = pages.of(entries, Page(cursor, 2), str)
            seen += part
            if cursor is None:
                break
        self.assertEqual(seen, list("abcde"))

    def test_what_is_gone_is_fine_and_nothing_else(self):
        def fail(error):
            raise error

        self.assertIsNone(errors.or_gone(lambda: fail(errors.not_found("a", "b"))))
        error = raised(lambda: errors.or_gone(lambda: fail(errors.conflict("a", "b"))))
        self.assertEqual(error.kind, ErrorKind.CONFLICT)


if __name__ == "__main__":
    unittest.main()
