"""The browser's round trip, once for every protocol: check, decide, ask, park, sign in, come back, check again.

Entry points: `interaction.next_step` decides, `interaction.ask` parks the request and sends the browser to the sign-in
pages, `parking.take_up` finds it again when the browser comes back, `answers` sends the browser on. It knows no
protocol: what a request demands is a `Demands`, what it says is the caller's payload.
"""
