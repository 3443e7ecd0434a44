"""The backend ``events``: synapses add up the weights of the neurons that are active, and nothing for the silent ones.

A compiled network is cut into steps (:mod:`.plan`): synapses follow what is not zero (:mod:`.event_synapses`), what works entry
by entry is one loop (:mod:`.entry_loops`), and the rest is onnxruntime's (:mod:`.pieces`). Numba compiles the loops.
"""
