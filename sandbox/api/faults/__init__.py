"""Faults on demand: the answers of a bad day, so that a class can meet them on a good one.

A fault is asked for in the header ``X-Sandbox-Fault: NAME;key=value`` of one request, or set
for a project through /v1/sandbox/faults. Nothing here happens unless it was asked for.
"""
