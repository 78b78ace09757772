"""What tests share. A directory of tests keeps to itself what only its ``conftest.py`` needs.

``planner``        the planner over plain values, without I/O
``planned``        objects that were planned to their end; ``verdicts`` those whose answers in public DNS change
``aws_world``      ``AwsApi`` over the sandbox's AWS, with scripted faults; ``simulation`` has another for its runs
``http_api``       the simulation's API server over HTTP, for faults that a real one shows rarely
``dns_source``     zones and PTRs in memory, where the DNS sandbox runs without AWS
``internet``       a scripted DNS; ``hostile_dns`` is one that attacks; ``skip`` puts a running clock forward
``virtual_loop``   an event loop whose clock jumps to the next timer
``simulation``     the whole operator over AWS, DNS and an API server in virtual time
``mutants``        the planted bugs and what plants them
``stories``        a user, the order of writes, and what a watch recorded, over a real API server
``process``        replicas as processes and the record of what they did
``observability``  reading metrics, rules and dashboards
``gitops``         every situation of an object, and what Argo CD and kstatus make of it
"""
