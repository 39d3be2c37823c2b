"""Names for containers that were given none: an adjective and a person of science, computing or the sea."""

import secrets

_ADJECTIVES = """
able agile airy alert amber ample ardent artful astute azure balmy beaming blissful blithe bold bonny brave breezy
brief bright brisk bubbly buoyant calm candid canny careful charming cheery chipper civil clean clear clever cool
cordial cosmic courtly cozy crisp curious dapper daring dashing dazzling deft diligent dreamy durable eager earnest
easy elated elegant epic exact fabled fair faithful famous fearless festive fine fleet fluent fond frank free fresh
gallant gentle genuine gifted glad gleaming golden good graceful grand great handy happy hardy harmonic hearty helpful
honest hopeful humble ideal jaunty jolly jovial joyful keen kind kindly lasting lively loyal lucid lucky magical
mellow merry mighty mild modest musing neat nifty nimble noble patient peaceful placid playful poised polite precise
proud quick quiet quirky radiant rapid ready relaxed robust rosy sage salty sandy serene sharp shiny silent sincere
sleek smart smooth snappy snug sober solar sound speedy spry stable steady stellar stoic strong sturdy sunny sure
swift tender thrifty tidy tireless tranquil trusting trusty upbeat valiant vibrant vivid warm wise witty worthy zany
zen zesty
"""
_SURNAMES = """
abel agnesi aiken albattani alhazen allen ampere amundsen anning arago archimedes aristarchus aryabhata atanasoff
avicenna avogadro baade babbage backus baird banks banneker bardeen barents bartik bassi beaufort becquerel bell
bering berners bernoulli bessel bethe biruni bohr boltzmann boole bose boyle bragg brahe brahmagupta brattain braun
brendan brooks brunel burnell bush byron cabot cannon cantor carnot carson cartier cavendish celsius cerf chandra
chaplygin chebyshev church cigrand clarke codd colden conway cook copernicus corbato coriolis coulomb cousteau cray
crick curie cuvier dahl dalton darwin davy debye denning descartes diffie dijkstra diophantus dirac doppler drake
dyson earle eckert eddington edison einstein elion engelbart eratosthenes ericson erlang escher euclid euler faraday
fermat fermi feynman fibonacci fitzroy flamel flamsteed fleming floyd forrester foucault fourier franklin fraunhofer
fresnel galilei galois galvani gama gauss germain gibbs gilbert goddard godel goodall gosling gray hahn haldane halley
hamilton hamming harrison harvey hawking heaviside heisenberg helmholtz henry herschel hertz heyerdahl hilbert
hipparchus hoare hodgkin hollerith hooke hopper hubble hudson humboldt huygens hypatia iverson jacobi jacquard jenner
johnson joliot joule kahn kalman kapitsa kay keldysh kelvin kepler kernighan khayyam khorana khwarizmi kilburn kilby
kirch kleene knuth kolmogorov koshiba kovalevskaya lagrange lalande lamarr lamport landau laplace lavoisier leavitt
lebedev legendre leibniz lenz leonov liskov lister lomonosov lorentz lovelace lyell mach magellan mandelbrot marconi
margulis mauchly maury maxwell mayer mccarthy mcclintock meitner mendel mendeleev mercator milner minsky mirzakhani
moore morland morse nansen napier nash naur neumann newcomb newell newton nightingale nobel noether noyce oersted ohm
oppenheimer ostrom pare pascal pasteur pauli pauling pavlov penrose perlman pike planck poincare popov postel
priestley ptolemy pythagoras quetelet rabin raman ramanujan rayleigh reis riemann ritchie roentgen rossby rubin
rumford rutherford sagan salk sammet savery scott seddon shannon shockley simon skolem slocum snow somerville spence
stibitz stokes strachey stroustrup sutherland swirles szilard tasman tereshkova tesla thales thompson torricelli
torvalds tsiolkovsky turing vesalius vespucci villard vinci virchow volta wallace watson watt weyl wheeler wiener
wiles wilkes wilson wing wirth wozniak wright wu yalow yonath young yukawa zernike zhang zuse
"""
_FIRST, _LAST = _ADJECTIVES.split(), _SURNAMES.split()


def random_name(attempt: int) -> str:
    """Return a name such as `calm_lovelace`; from the second attempt on with a digit, against repeated collisions."""
    name = f"{secrets.choice(_FIRST)}_{secrets.choice(_LAST)}"
    return f"{name}{secrets.randbelow(10)}" if attempt else name
