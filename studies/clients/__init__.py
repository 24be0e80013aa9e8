"""Released libraries under the examination of samplers: what holds, what does not, and the smallest script that shows it.

Everything here runs only when named (``fpk run clients``), and only for libraries that are installed (``pip install "fpk[clients]"``).
"""
