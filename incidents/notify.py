def announce(incident, events, now): pass
def register(): pass
