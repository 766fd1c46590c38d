"""What others are told of by signed HTTP calls: issues sent; readers confirmed, gone, complained.

`facts` reads what happened into messages, each once; `delivery` brings them, at least once and
under one id; `endpoints` is who is told.
"""
