"""The plot of spacings draws the unfolded spacings and the two laws, and says the ratio."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.errors import InputError, UsageError


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    return sd.measure({"noise": rng.normal(size=(200, 260)), "tiny": rng.normal(size=(9, 12))}, vectors=True)


def test_histogram_and_laws(spectra):
    ax = sd.plot.spacings(spectra, layer="noise", ax=Figure().subplots())
    wigner, independent = ax.lines
    s = wigner.get_xdata()
    np.testing.assert_allclose(wigner.get_ydata(), 0.5 * np.pi * s * np.exp(-0.25 * np.pi * s**2))
    np.testing.assert_allclose(independent.get_ydata(), np.exp(-s))
    mass = sum(patch.get_height() * patch.get_width() for patch in ax.patches)
    assert mass == pytest.approx(1.0)
    ratio = float(spectra.spacing_ratio.sel(layer="noise"))
    assert f"ratio {ratio:.3f}" in ax.get_title().replace("\n", " ")


def test_faults(spectra):
    with pytest.raises(InputError, match="at least 10"):
        sd.plot.spacings(spectra, layer="tiny", ax=Figure().subplots())
    with pytest.raises(UsageError, match="choose a layer"):
        sd.plot.spacings(spectra, ax=Figure().subplots())


def test_measure_writes_ratio_and_vectors(spectra):
    """Those of the array-level functions; NaN where there are too few values."""
    matrix = np.random.default_rng(0).normal(size=(200, 260))
    found = sd.spectra.spacing_ratio(np.linalg.svd(matrix, compute_uv=False) ** 2)
    one = spectra.sel(layer="noise")
    assert float(one.spacing_ratio) == pytest.approx(found.mean, rel=1e-9)
    assert float(one.spacing_ratio_stderr) == pytest.approx(found.standard_error, rel=1e-9)
    assert float(one.spacing_p_repulsion) == pytest.approx(found.p_repulsion, rel=1e-6)
    for side in ("left", "right"):
        expected = sd.spectra.porter_thomas(matrix, side=side)
        assert float(one.porter_thomas_p.sel(vector=side)) == pytest.approx(expected.p_overall)
        assert int(one.porter_thomas_rejected.sel(vector=side)) == expected.n_rejected
        p_mode = one.porter_thomas_mode_p.sel(vector=side).values
        np.testing.assert_allclose(p_mode[:200], expected.p_mode, rtol=1e-6)
        assert np.isnan(p_mode[200:]).all()
    tiny = spectra.sel(layer="tiny")
    assert np.isnan(float(tiny.spacing_ratio))
    assert np.isfinite(float(tiny.porter_thomas_p.sel(vector="right")))
    assert "porter_thomas_p" not in sd.measure(matrix)


def test_the_document_holds_them(spectra, tmp_path):
    from sdespec.report.document import measure_document

    noise, tiny = measure_document(spectra).matrices
    assert noise.spacing.ratio == pytest.approx(float(spectra.spacing_ratio[0]))
    assert noise.vectors["left"].n_rejected == int(spectra.porter_thomas_rejected[0, 0])
    assert noise.vectors["left"].n_tested == 200
    assert tiny.spacing is None
    sd.save(spectra, tmp_path / "a.nc")
    assert sd.open(tmp_path / "a.nc").equals(spectra)


@pytest.mark.parametrize("vectors", [False, True])
def test_the_page_shows_them(vectors, tmp_path):
    """The ratio always, the vectors where they were tested; an orthogonal matrix has neither."""
    rng = np.random.default_rng(1)
    matrices = {"noise": rng.normal(size=(40, 60)), "turn": np.linalg.qr(rng.normal(size=(30, 30)))[0]}
    ds = sd.measure(matrices, vectors=vectors)
    page = sd.report.write_report(ds, tmp_path / "a.html").read_text(encoding="utf-8")
    cells = {name: [] for name in matrices}
    for row in page.split("<tr>"):
        for name in matrices:
            if row.startswith(f"<td>{name}</td>"):
                cells[name] = [cell.split("<")[0].strip() for cell in row.split('<td class="n">')[1:]]
    assert f"{float(ds.spacing_ratio[0]):.2f} \u00b1" in cells["noise"][-1 - vectors]
    assert cells["turn"][-1 - vectors] == "\u2013"
    assert ("of the vectors says" in page) is vectors
    if vectors:
        assert cells["turn"][-1] == "\u2013, \u2013"
        left, right = (float(ds.porter_thomas_p[0, k]) for k in range(2))
        assert cells["noise"][-1] == f"{left:.2g}, {right:.2g}"
        assert np.isnan(ds.porter_thomas_p[1]).all()
