"""What a fleet-host plugin in Python is written with.

A plugin is a set of functions: the host makes a fresh instance for each call, so nothing kept in a
module is there for the next one. What outlives a call is the handle.

* ``errors``: an error by its kind, with a code and what to do.
* ``handles``: a plugin's state, as JSON in a handle.
* ``configs``: a workload's ``[config]`` as a dataclass.
* ``pages``: a part of a list.
* ``processes``: what a backend says of a program that it has the host run.
* ``testing``: fakes of all imports, so that ``python3 -m unittest`` tests a plugin without WebAssembly.

The contract itself is ``wit_world``: ``wit_world.exports`` are the interfaces a plugin implements,
``wit_world.imports`` those it calls. Import from it only what the plugin's ``wit/world.wit`` names.
"""

__version__ = "0.1.0"
"""The version of the contract this package is written for, and its own."""
