"""Approvals: requests opened, decided, used and ended; who may do what; who is told.

`deciding` and `patterns` are pure. `service` changes requests, each change in one transaction with its audit
row; `lookup` reads; `board` tells those who wait; `holding` is the desk of lines held in live sessions.
"""
